"""Own uploads on the page at `/`: found again, erased, looked at closely, compared."""

import re
from typing import Any, ClassVar

from playwright.sync_api import Page, expect

from tests.support import image_factories, samples
from tests.support.browser import CALM, PHONE, BrowserCase
from tests.support.page_actions import choose, jpeg, rows
from wire import environment

PEOPLE = (environment.ROOT / "docs" / "pictures" / "people.jpg").read_bytes()


class OwnUploadsTests(BrowserCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True}

    def test_a_reload_finds_them_again_and_all_can_be_erased(self) -> None:
        page = self.open("/", **CALM)
        page.on("dialog", lambda dialog: dialog.accept())
        before = set(self.stack.submissions())
        names = ("people.jpg", "one.jpg", "empty.jpg")
        files = (PEOPLE, samples.another(samples.face(), 1), samples.no_face())
        choose(page, *map(jpeg, files, names))
        expect(rows(page, "done")).to_have_count(3)
        expect(page.get_by_text("Everybody who can open this page sees them.")).to_be_visible()
        other = self.stack.upload(samples.another(samples.face(), 2))
        self.stack.wait_until_ended([other])
        page.reload()
        expect(rows(page, "done")).to_have_count(3)
        people = rows(page).filter(has_text="people.jpg")
        expect(people).to_contain_text("4 faces")
        people.get_by_role("button").first.click()
        expect(page.locator("[data-viewer] [data-box]")).to_have_count(4)
        page.get_by_role("button", name="Erase", exact=True).click()
        expect(rows(page)).to_have_count(2)
        page.get_by_role("button", name="Clear list").click()
        expect(rows(page)).to_have_count(0)
        page.reload()
        expect(page.locator("[data-feed-state]")).to_have_text("Live")
        expect(rows(page)).to_have_count(0)
        choose(page, jpeg(samples.another(samples.face(), 3), "two.jpg"))
        expect(rows(page, "done")).to_have_count(1)
        page.reload()
        page.get_by_role("button", name="Erase all").click()
        expect(rows(page)).to_have_count(0)
        left = set(self.stack.submissions()) - before
        self.assertEqual(len(left), 3)  # cleared from the list alone, and the other's
        self.assertIn(other, left)

    def test_it_goes_by_few_keys_and_failed_ones_are_found(self) -> None:
        self.expect_console("status of 400")
        page = self.open("/", **CALM)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the upload")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#files")).to_be_focused()
        self.assertEqual(page.locator("#files").bounding_box(), self.hidden_box(page))
        choose(page, jpeg(b"no image", "bad.jpg"), jpeg(PEOPLE, "people.jpg"))
        expect(page.get_by_role("button", name="1 failed: show")).to_be_visible()
        expect(rows(page, "done")).to_have_count(1)
        rows(page).last.get_by_role("button").first.click()
        expect(page.locator(".details")).to_be_visible()
        self.look_beside(page)
        page.get_by_role("button", name="1 failed: show").click()
        expect(rows(page, "failed").get_by_role("button").first).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(page.locator("[data-viewer] .title")).to_have_text("people.jpg")

    def hidden_box(self, page: Page) -> Any:
        box = page.locator("#files").bounding_box()
        assert box is not None
        self.assertLessEqual((box["width"], box["height"]), (1, 1))
        return box

    def look_beside(self, page: Page) -> None:
        """The details stand beside the picture, faces change by arrows, the picture is enlarged."""
        stage = page.locator("[data-viewer] .stage").bounding_box()
        details = page.locator("[data-viewer] .details").bounding_box()
        assert stage is not None and details is not None
        self.assertGreaterEqual(details["x"], stage["x"] + stage["width"])
        first = page.get_by_role("button", name="Face 1 of 4")
        first.focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("button", name="Face 2 of 4")).to_be_focused()
        expect(page.get_by_role("group", name="Face 2", exact=True)).to_be_visible()
        frame = page.locator("[data-viewer] .frame")
        before = frame.bounding_box()
        page.get_by_role("button", name="Zoom in").click()
        after = frame.bounding_box()
        assert before is not None and after is not None
        self.assertAlmostEqual(after["width"], 2 * before["width"], delta=2)
        self.assert_accessible(page)
        self.assert_fits(page)
        page.get_by_role("button", name="Zoom out").click()
        self.screenshot(page, "page-details", whole=False)

    def test_a_phone_has_the_details_as_a_sheet(self) -> None:
        page = self.open("/", **{**CALM, **PHONE})
        choose(page, jpeg(PEOPLE, "people.jpg"))
        expect(page.locator(".details")).to_be_visible()
        page.locator("[data-viewer]").scroll_into_view_if_needed()
        sheet = page.locator("[data-viewer] .panel").bounding_box()
        assert sheet is not None
        self.assertLess(sheet["y"], PHONE["viewport"]["height"])  # type: ignore[index]
        self.assert_accessible(page)
        self.assert_fits(page)
        self.screenshot(page, "page-sheet", whole=False)

    def test_all_faces_of_both_are_compared_and_any_two_can_be_picked(self) -> None:
        page = self.open("/", **CALM)
        alone = image_factories.encoded(image_factories.portrait("biden.jpg", 300))
        group = image_factories.encoded(image_factories.side_by_side(width=600))
        page.set_input_files("#side-1", jpeg(alone, "alone.jpg"))
        page.set_input_files("#side-2", jpeg(group, "group.jpg"))
        verdict = page.locator("[data-verdict]")
        expect(verdict.get_by_role("heading")).to_have_text("The same person")
        expect(page.locator("[data-side='2'] [data-box]")).to_have_count(2)
        faces = page.get_by_role("group", name="Faces of the second picture").get_by_role("button")
        expect(faces).to_have_count(2)
        other = faces.and_(page.locator("[aria-pressed=false]"))
        other.press("Enter")
        expect(verdict.get_by_role("heading")).to_have_text("Two different people")
        expect(page.locator("[data-pair]")).to_have_text(
            re.compile(r"Face 1 of 1 and face \d of 2")
        )
        page.locator("[data-side='2'] [data-box]:not(.picked)").click()
        expect(verdict.get_by_role("heading")).to_have_text("The same person")
        self.assert_accessible(page)
        page.locator("#compare").scroll_into_view_if_needed()
        self.screenshot(page, "compare", whole=False)

    def test_an_uploaded_image_is_looked_up_by_its_hash(self) -> None:
        file = samples.another(samples.face(), 9)
        self.stack.wait_until_ended([self.stack.upload(file)])
        page = self.open("/", **CALM)
        page.set_input_files("#hash-file", jpeg(file, "again.jpg"))
        found = page.locator("[data-look-up-result]")
        expect(found.locator("[data-box]")).to_have_count(1)
