"""The pages of members in a real browser: from a reference face to the photos of me, and back."""

import re
from typing import Any, ClassVar, Final

from playwright.sync_api import FilePayload, Page, expect

from backend.photos.tests import factories
from tests.support import image_factories, samples
from tests.support.browser import CALM, DARK, PHONE, BrowserCase
from tests.support.page_actions import drop, jpeg, log_out
from tests.support.stack import wait_until

_PASSWORD: Final = "correct horse battery"
_MAKE: Final = (
    "from django.contrib.auth.models import User;"
    f"User.objects.create_superuser('zoe', password='{_PASSWORD}');"
    f"[User.objects.create_user(name, password='{_PASSWORD}') for name in ('alice', 'bob')]"
)
_NOT_PROCESSED: Final = "Your reference has not been processed yet"
_FACES: Final = "/members/photos/facedetection"
_TOUCH: Final = """(box, [kind, clientX]) => box.dispatchEvent(
    Object.assign(new Event(kind), { touches: [{ clientX }], changedTouches: [{ clientX }] }))"""


def portrait(name: str) -> FilePayload:
    return jpeg(image_factories.encoded(image_factories.portrait(name, width=320)), name)


def together() -> bytes:
    return image_factories.encoded(
        image_factories.side_by_side("obama.jpg", "biden.jpg", width=300)
    )


class PhotosPageTests(BrowserCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_GROUP_UNKNOWN": "true", "FACES_LOGIN_RATE": "100/minute"},
    }

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        made = cls.stack.manage("shell", "-c", _MAKE)
        assert made.returncode == 0, made.stderr

    def log_in(self, name: str, **options: Any) -> Page:
        page = self.open("/members/login/", **options)
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(_PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Photos of me")).to_be_visible()
        return page

    def look_at(self, page: Page, name: str) -> None:
        self.assert_accessible(page)
        self.assert_fits(page)
        self.screenshot(page, f"photos-{name}")

    def test_from_a_reference_to_the_photos_of_me_and_back(self) -> None:
        zoe = self.log_in("zoe")
        self.fill_an_album(zoe)
        alice = self.log_in("alice", **CALM)
        self.upload_references(alice)
        self.see_photos(alice, zoe)
        self.say_not_me(alice)
        self.look_with_keys(alice)
        self.see_on_a_phone(alice)
        self.see_people(zoe)
        self.delete_and_opt_out(alice)

    def fill_an_album(self, zoe: Page) -> None:
        zoe.goto("/members/photos/albums/new/")
        self.look_at(zoe, "album-new")
        zoe.get_by_label("Title").fill("Summer")
        zoe.get_by_label("Date").fill("2026-07-01")
        zoe.get_by_role("button", name="Create").click()
        # Its script is there then, without which the form is sent as a whole.
        zoe.wait_for_url(re.compile("/upload/?$"))
        files = [
            jpeg(samples.face(), "one.jpg"),
            jpeg(together(), "two.jpg"),
            jpeg(samples.no_face(), "three.jpg"),
            jpeg(b"no image", "broken.jpg"),
        ]
        zipped = factories.zipped(
            {
                "a/four.jpg": samples.another(samples.face(), 4),
                "a/biden.jpg": image_factories.encoded(
                    image_factories.portrait("biden.jpg", width=320)
                ),
                "a/again.jpg": samples.face(),
                "a/notes.txt": b"no image",
            }
        )
        archive: FilePayload = {
            "name": "more.zip",
            "mimeType": "application/zip",
            "buffer": zipped,
        }
        zoe.set_input_files("#file", files)
        zoe.get_by_role("button", name="Upload", exact=True).click()
        expect(zoe.locator("[data-sent-text]")).to_have_text("Uploaded 3 of 4")
        skipped = zoe.locator("[data-skipped-list]")
        expect(skipped).to_contain_text("broken.jpg")
        # A second batch, after the first has ended, keeps the list of the first.
        drop(zoe.locator("#upload"), archive)
        expect(zoe.locator("[data-sent-text]")).to_have_text("Uploaded 1 of 1")
        expect(skipped).to_contain_text("broken.jpg")
        unpacked = zoe.locator("[data-archive=done]")
        expect(unpacked).to_contain_text("2 photos added, 2 files skipped")
        expect(unpacked).to_contain_text("again.jpg It is in the album already.")
        expect(unpacked).to_contain_text("notes.txt")
        expect(zoe.get_by_text("Faces looked for: 5 of 5")).to_be_visible()
        expect(zoe.get_by_text("The album is complete, and members see it.")).to_be_visible()
        self.look_at(zoe, "album-upload")

    def upload_references(self, alice: Page) -> None:
        self.look_at(alice, "you-before")
        self.stack.pool.stop()
        alice.get_by_role("link", name="Upload a picture of my face").click()
        self.look_at(alice, "upload")
        two_faces = jpeg(together(), "together.jpg")
        mine = [portrait(name) for name in ("obama.jpg", "obama2.jpg", "obama3.jpg")]
        alice.set_input_files("#file", [*mine, two_faces])
        alice.get_by_role("button", name="Upload", exact=True).click()
        # The browser asks for the box first.
        self.assertIn("/upload", alice.url)
        alice.get_by_label("I agree").check()
        alice.get_by_role("button", name="Upload", exact=True).click()
        expect(alice.locator("[data-state=processing]")).to_have_count(4)
        expect(alice.locator(".notice", has_text=_NOT_PROCESSED)).to_be_visible()
        self.look_at(alice, "references-processing")
        alice.goto(f"{_FACES}/you/")
        expect(alice.locator(".notice", has_text=_NOT_PROCESSED)).to_be_visible()
        self.look_at(alice, "you-processing")

    def see_photos(self, alice: Page, zoe: Page) -> None:
        alice.evaluate("window.same = true")
        self.stack.pool.start()
        expect(alice.locator(".tile img")).to_have_count(3)
        expect(alice.locator(".notice", has_text=_NOT_PROCESSED)).to_have_count(0)
        first = alice.get_by_alt_text("Photo 1 of Summer, 1 July 2026")
        expect(first).to_be_visible()
        self.assertTrue(alice.evaluate("window.same"), "they appeared without a reload")
        self.look_at(alice, "you")
        alice.goto(f"{_FACES}/reference-faces/")
        expect(alice.locator("[data-state=done]")).to_have_count(3)
        rejected = alice.locator("[data-state=rejected]")
        expect(rejected).to_contain_text("There are several faces in this picture.")
        self.look_at(alice, "references")
        rejected.get_by_role("link", name="Which is you?").click()
        expect(alice.get_by_role("button", name="is me").locator("img")).to_have_count(2)
        self.look_at(alice, "which")
        dark = self.log_in("zoe", **DARK)
        dark.goto("/members/photos/")
        self.look_at(dark, "albums-dark")
        dark.get_by_role("link", name=re.compile("Summer")).click()
        expect(dark.locator(".tile img")).to_have_count(5)
        self.look_at(dark, "album-dark")

    def say_not_me(self, alice: Page) -> None:
        alice.goto(f"{_FACES}/you/")
        alice.locator("form:has-text('Not me') button").last.click()
        expect(alice.locator(".tile img")).to_have_count(2)
        alice.get_by_role("button", name="Undo").click()
        expect(alice.locator(".tile img")).to_have_count(3)
        alice.locator("form:has-text('Not me') button").last.click()
        alice.get_by_role("link", name="Taken off: 1 photo").click()
        expect(alice.locator(".tile img")).to_have_count(1)
        self.look_at(alice, "taken-off")
        # Another reference, from which all is compared again, does not bring it back.
        alice.goto(f"{_FACES}/upload/")
        alice.set_input_files("#file", [jpeg(samples.another(samples.face(), 9), "more.jpg")])
        alice.get_by_role("button", name="Upload", exact=True).click()
        expect(alice.locator("[data-state=done]")).to_have_count(4)
        alice.goto(f"{_FACES}/you/")
        expect(alice.get_by_text("2 photos, newest album first.")).to_be_visible()

    def look_with_keys(self, alice: Page) -> None:
        alice.goto(f"{_FACES}/you/")
        alice.keyboard.press("Tab")
        expect(alice.get_by_role("link", name="Skip to the content")).to_be_focused()
        alice.keyboard.press("Enter")
        for _ in range(40):
            alice.keyboard.press("Tab")
            if alice.evaluate("document.activeElement.matches('[data-large]')"):
                break
        alice.keyboard.press("Enter")
        box = alice.get_by_role("dialog")
        expect(box).to_be_visible()
        expect(box.locator("p")).to_have_text("Photo 1 of Summer, 1 July 2026")
        self.assert_accessible(alice)
        alice.keyboard.press("ArrowRight")
        expect(box.locator("p")).to_have_text("Photo 2 of Summer, 1 July 2026")
        self.screenshot(alice, "photos-lightbox", whole=False)
        alice.keyboard.press("Escape")
        expect(box).to_be_hidden()
        expect(alice.locator("[data-large]:focus")).to_have_count(1)
        alice.keyboard.press("Enter")
        for kind, x in (("touchstart", 300), ("touchend", 100)):
            box.evaluate(_TOUCH, [kind, x])
        expect(box.locator("p")).to_have_text("Photo 2 of Summer, 1 July 2026")
        alice.go_back()
        expect(box).to_be_hidden()
        self.assertIn(f"{_FACES}/you", alice.url)
        alice.goto(alice.locator("[data-large]").first.get_attribute("href") or "")
        alice.get_by_role("button", name="Like 0").click()
        expect(alice.get_by_role("button", name="Like 1")).to_be_visible()
        self.look_at(alice, "photo")
        alice.get_by_role("button", name="Show faces").click()
        face = alice.get_by_role("group", name="Faces").get_by_role("button").first
        expect(face).to_be_focused()
        face.press("Enter")
        expect(alice.locator("[data-face-asks]").get_by_text("That is me")).to_be_visible()
        self.look_at(alice, "photo-faces")

    def see_on_a_phone(self, alice: Page) -> None:
        phone = self.log_in("alice", **PHONE)
        expect(phone.locator(".tile img")).to_have_count(2)
        self.look_at(phone, "you-phone")
        for name, path in (("upload", f"{_FACES}/upload/"), ("albums", "/members/photos/")):
            phone.goto(path)
            self.look_at(phone, f"{name}-phone")
        used = alice.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
        self.assertTrue(used)

    def see_people(self, zoe: Page) -> None:
        grouped = "SELECT id FROM photos_person"
        wait_until(lambda: bool(self.stack.query(grouped)), "unknown faces are grouped")
        zoe.goto("/members/photos/people/")
        self.look_at(zoe, "people")
        zoe.locator(".tile a").first.click()
        zoe.get_by_label("Name").fill("Joe")
        zoe.get_by_role("button", name="Save").click()
        expect(zoe.get_by_role("heading", name="Joe")).to_be_visible()
        self.look_at(zoe, "person")

    def delete_and_opt_out(self, alice: Page) -> None:
        for left in (3, 2, 1, 0):
            alice.goto(f"{_FACES}/reference-faces/")
            alice.locator("[data-state=done] a").first.click()
            if not left:
                self.look_at(alice, "delete")
            alice.get_by_role("button", name="Delete").click()
            expect(alice.locator("[data-state=done]")).to_have_count(left)
        alice.goto(f"{_FACES}/you/")
        expect(alice.locator(".tile")).to_have_count(0)
        alice.goto(f"{_FACES}/opt-out/")
        self.look_at(alice, "opt-out")
        alice.get_by_role("button", name="Erase everything").click()
        expect(alice.get_by_text("You have opted out")).to_be_visible()
        self.assertEqual(self.stack.query("SELECT id FROM photos_reference"), [])
        self.assertEqual([file for file in self.stack.stored_files() if "references" in file], [])
        log_out(alice)
        expect(alice.get_by_role("heading", name="Log in")).to_be_visible()
        self.look_at(alice, "login")
        alice.goto(f"{_FACES}/you/")
        self.assertIn("/members/login", alice.url)
