"""The pages for operators and programmers, in a real browser after a real flow."""

import re
from pathlib import Path
from typing import Any, ClassVar, Final

from playwright.sync_api import Page, expect

from tests.support import samples
from tests.support.browser import CALM, DARK, PHONE, BrowserCase
from tests.support.page_actions import jpeg

_UPLOADS: Final = (
    *("Submissions-image_upload", "Face encodings-encode", "Face encodings-verify"),
    *("Recognition-enrol_contact", "Recognition-add_faces", "Recognition-recognise"),
    "Recognition-search",
)
"""Of the page of the API: a contact is enrolled before its gallery is asked."""

_PASSWORD: Final = "correct horse battery"


class OperatorCase(BrowserCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "workers": 1}
    shares = "operators"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stack.environ["DJANGO_SUPERUSER_PASSWORD"] = _PASSWORD
        options = ("--noinput", "--username", "olga", "--email", "olga@faces.example")
        made = cls.stack.manage("createsuperuser", *options)
        assert made.returncode == 0, made.stderr

    def logged_in(self, path: str, **options: Any) -> Page:
        """A page behind the login, reached through it."""
        page = self.open(path, **options)
        page.get_by_label("Username").fill("olga")
        page.get_by_label("Password").fill(_PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{path}")
        return page

    def failed(self, number: int) -> tuple[str, Path, bytes]:
        """An image that failed for its file was gone: its id, where the file was, what it was."""
        self.stack.pool.stop()
        id = self.stack.upload(samples.another(samples.face(), number))
        file = self.stack.storage / "media" / self.stack.submissions()[id]["image"]
        content = file.read_bytes()
        file.unlink()
        self.stack.pool.start()
        self.stack.wait_until_ended([id])
        return id, file, content


class DashboardTests(OperatorCase):
    def test_it_shows_current_numbers_and_retries_a_failed_image(self) -> None:
        self.stack.wait_ended([self.stack.upload(samples.face())])
        id, file, content = self.failed(1)
        with self.stack.listen():
            page = self.logged_in("/dashboard/")
            expect(page.locator("#listeners")).to_have_text("1")
        expect(page.locator("#waiting")).to_have_text("0")
        expect(page.locator("#workers tr")).to_have_count(1)
        expect(page.locator("#minutes")).to_have_accessible_name(re.compile(r"^\d images in"))
        expect(page.locator("#stages tr").first).to_contain_text("waits for a worker")
        row = page.locator("#failures tr", has_text=id)
        expect(row).to_contain_text("The uploaded file is gone.")
        self.screenshot(page, "dashboard")
        self.assert_accessible(page)
        self.assert_fits(page)
        file.write_bytes(content)
        row.get_by_role("button", name=f"Try submission {id} again").press("Enter")
        expect(row).to_have_count(0)
        expect(page.locator("#failures-title")).to_be_focused()
        self.assertEqual(self.stack.wait_ended([id])[id]["status"], "done")
        noted = self.stack.query("SELECT actor, action FROM clients_auditentry ORDER BY id")
        self.assertIn({"actor": "admin olga", "action": "retry submission"}, noted)

    def test_it_does_not_jump_and_keeps_the_focus_when_the_numbers_change(self) -> None:
        id, _, _ = self.failed(2)
        page = self.logged_in("/dashboard/", **CALM)  # which scrolls at once
        button = page.get_by_role("button", name=f"Try submission {id} again")
        button.focus()
        button.scroll_into_view_if_needed()
        expect(page.locator("#workers tr")).to_have_count(1)  # above it; it comes after its start
        place = button.bounding_box()
        marked = "node => { node.dataset.seen = '1'; }"
        page.locator("#failures tr", has_text=id).evaluate(marked)
        with page.expect_response("**/dashboard/numbers"), page.expect_response("**/numbers"):
            pass
        expect(page.locator("#failures tr[data-seen='1']")).to_have_count(1)
        expect(button).to_be_focused()
        self.assertEqual(button.bounding_box(), place)

    def test_it_fits_a_phone_and_is_good_to_look_at_in_the_dark(self) -> None:
        self.stack.wait_ended([self.stack.upload(samples.another(samples.face(), 3))])
        for name, options in (("phone", PHONE), ("dark", DARK)):
            with self.subTest(name):
                page = self.logged_in("/dashboard/", **options)
                expect(page.locator("#workers tr")).to_have_count(1)
                self.screenshot(page, f"dashboard-{name}")
                self.assert_accessible(page)
                self.assert_fits(page)

    def test_it_says_when_the_service_does_not_answer(self) -> None:
        self.expect_console(r"502|503|ERR_CONNECTION|Failed to load resource")
        page = self.logged_in("/dashboard/")
        expect(page.locator("#workers tr")).to_have_count(1)
        page.route("**/dashboard/numbers", lambda route: route.abort())
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        page.unroute("**/dashboard/numbers")
        expect(page.get_by_role("alert")).to_be_hidden()


class DocsTests(BrowserCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "workers": 1}
    shares = "operators"

    def test_the_description_is_shown_and_can_be_tried_by_keyboard(self) -> None:
        page = self.open("/api/docs/")
        status = page.locator("#operations-Submissions-image_upload")
        expect(status).to_contain_text("Upload an image")
        self.screenshot(page, "api-docs", whole=False)
        self.assert_accessible(page)
        health = page.locator("#operations-Service-healthcheck")
        health.get_by_role("button").first.press("Enter")
        health.get_by_role("button", name="Execute").press("Enter")
        expect(health.locator(".live-responses-table")).to_contain_text("OK")
        self.screenshot(page, "api-docs-tried", whole=False)

    def test_an_upload_is_executed_with_nothing_chosen_but_its_file(self) -> None:
        # A face that was enrolled already, and a gallery that is not there yet.
        page = self.open("/api/docs/")
        expect(page.locator(".opblock").first).to_contain_text("Upload an image")
        expect(page.locator(".opblock", has_text="/api/facedetection/")).to_have_count(0)
        answers = {}
        for name in _UPLOADS:
            block = page.locator(f"#operations-{name.replace(' ', '_')}")
            block.get_by_role("button").first.click()
            kind = block.locator("select:has(option[value='multipart/form-data'])")
            kind.select_option("multipart/form-data")
            inputs = block.locator("input[type=file]")
            expect(inputs.first).to_be_attached()
            for each in inputs.all():
                each.set_input_files(jpeg(samples.face(), "face.jpg"))
            block.get_by_role("button", name="Execute").click()
            status = block.locator(".live-responses-table tbody .response-col_status").first
            expect(status).to_be_visible()
            answers[name] = (status.text_content() or "")[:3]
            block.get_by_role("button").first.click()
        self.assertEqual({name: code for name, code in answers.items() if code >= "300"}, {})
        page.get_by_label("Filter").fill("recognize")
        expect(page.locator(".opblock")).to_have_count(1)

    def test_it_fits_a_phone_and_the_dark(self) -> None:
        for name, options in (("phone", PHONE), ("dark", DARK)):
            with self.subTest(name):
                page = self.open("/api/docs/", **options)
                expect(page.locator("#operations-Service-healthcheck")).to_be_visible()
                self.screenshot(page, f"api-docs-{name}", whole=False)
                self.assert_accessible(page)
                self.assert_fits(page)
