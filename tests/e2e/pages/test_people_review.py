"""The page at `/people/` in a real browser: what it asks about many faces at once."""

import re
from typing import Any, ClassVar

from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages.test_people_page import (
    USERS,
    PeopleCase,
    boxes,
    look_at,
    name,
    photo,
    tiles,
)
from tests.support import photographs
from tests.support.browser import CALM
from tests.support.page_actions import choose, rows


def new_faces(page: Page) -> Locator:
    return page.get_by_role("region", name="New faces")


class NewFacesTests(PeopleCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_GROUP_UNKNOWN": "true"},
    }

    def setUp(self) -> None:
        super().setUp()
        for id in self.stack.submissions():
            self.stack.request("DELETE", f"/image/{id}/")

    def test_faces_of_one_person_are_named_at_once_and_the_next_group_follows(self) -> None:
        page = self.open("/people/", **CALM)
        choose(page, photo("obama"), photo("obama2"), photo("biden"))
        region = new_faces(page)
        faces = region.get_by_role("button", name=re.compile("^Face"))
        expect(region).to_contain_text("2 people to name")
        expect(faces).to_have_count(2)
        expect(region.locator("img")).to_have_count(2)
        self.screenshot(page, "people-new-faces")
        self.assert_accessible(page)
        region.get_by_label("Who is this?").fill("Barack")
        page.keyboard.press("Enter")
        expect(page.locator("[data-message]")).to_contain_text("Named 2 faces Barack.")
        expect(region).to_contain_text("1 person to name")
        expect(faces).to_have_count(1)
        page.keyboard.type("Joe")
        page.keyboard.press("Enter")
        expect(region).to_be_hidden()
        expect(tiles(page)).to_have_text([re.compile("Barack2 faces"), re.compile("Joe1 face")])
        expect(tiles(page).locator("img")).to_have_count(2)
        expect(page.locator("[data-message]")).to_contain_text("Joe")  # what is undone
        page.get_by_role("button", name="Undo").click()
        expect(region).to_be_visible()
        self.assertEqual(self.contacts(), {"Barack": 2})

    def test_a_face_is_left_out_by_a_click_and_by_keys(self) -> None:
        page = self.open("/people/")
        choose(page, photo("obama"), photo("obama2"))
        region = new_faces(page)
        faces = region.get_by_role("button", name=re.compile("^Face"))
        expect(faces).to_have_count(2)
        faces.first.focus()
        page.keyboard.press("n")
        expect(faces.first).to_have_attribute("data-answer", "no")
        expect(faces.last).to_be_focused()
        faces.last.click()
        expect(region.locator("[data-new-save]")).to_be_disabled()
        page.keyboard.press("y")
        expect(region.get_by_role("button", name="Name this face")).to_be_enabled()
        region.get_by_label("Who is this?").fill("Barack")
        page.keyboard.press("Enter")
        expect(tiles(page)).to_have_text([re.compile("Barack1 face")])

    def test_a_group_can_be_skipped_and_comes_again_with_the_page(self) -> None:
        page = self.open("/people/")
        choose(page, photo("biden"))
        region = new_faces(page)
        region.get_by_role("button", name="Skip").click()
        expect(region).to_be_hidden()
        page.reload()
        expect(region).to_be_visible()

    def test_strangers_are_hidden_and_shown_again(self) -> None:
        page = self.open("/people/", **CALM)
        choose(page, photo("biden"))
        region, message = new_faces(page), page.locator("[data-message]")
        region.get_by_role("button", name="Hide").click()
        expect(message).to_contain_text("Hidden: 1 face.")
        expect(region).to_be_hidden()
        expect(tiles(page)).to_have_count(0)
        expect(boxes(page)).to_have_attribute("data-certainty", "hidden")
        message.get_by_role("button", name="Undo").click()
        expect(region).to_be_visible()
        region.get_by_role("button", name="Hide").click()
        page.get_by_role("button", name="Show 1 hidden").click()
        tiles(page).click()
        page.get_by_role("dialog").get_by_role("button", name="Show again").click()
        expect(page.get_by_role("button", name="hidden")).to_have_count(0)
        expect(tiles(page)).to_contain_text("1 face")

    def test_two_who_are_likely_one_are_compared_and_a_no_lasts(self) -> None:
        self.named({"Barack": ["obama"], "Barry": ["obama2"]})
        page = self.open("/people/", **CALM)
        region, dialog = page.get_by_role("region", name="One person"), page.get_by_role("dialog")
        expect(region.locator("li")).to_contain_text("1 face, and")
        expect(region.locator("img")).to_have_count(2)
        self.screenshot(page, "people-twins")
        self.assert_accessible(page)
        region.get_by_role("button", name="Compare").click()
        dialog.get_by_role("button", name="No, two people").click()
        expect(region).to_be_hidden()
        page.locator("[data-message]").get_by_role("button", name="Undo").click()
        region.get_by_role("button", name="Compare").click()
        dialog.get_by_role("button", name="Yes, put them together").click()
        expect(tiles(page)).to_contain_text(["2 faces"])
        # Also without the message, for a day.
        page.reload()
        page.get_by_text("Changes of the last day").click()
        self.screenshot(page, "people-changes")
        page.get_by_role("button", name=re.compile("^Undo: .* became")).click()
        expect(tiles(page)).to_have_count(2)

    def test_a_face_that_does_not_fit_its_person_is_marked(self) -> None:
        self.named({"Barack": ["obama", "obama2", "obama3", "biden"]})
        page = self.open("/people/", **CALM)
        tiles(page).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("1 face may be another person's")
        expect(dialog.locator(".odd")).to_have_text(re.compile("Unlike the others"))
        expect(dialog.locator("img")).to_have_count(4)
        self.screenshot(page, "people-odd", whole=False)
        self.assert_accessible(page)

    def named(self, people: dict[str, list[str]]) -> None:
        """Known people, by the names of their photos."""
        for who, photos in people.items():
            ids = [self.stack.upload(photographs.read(f"{each}.jpg")) for each in photos]
            self.stack.wait_ended(ids)
            faces = [{"submission": id, "face": 0} for id in ids]
            answer = self.stack.request(
                "POST", f"{USERS}/1/contacts/", json={"name": who, "faces": faces}
            )
            self.assertEqual(len(answer.json()["added"]), len(photos))


class SuggestionsTests(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        for id in self.stack.submissions():
            self.stack.request("DELETE", f"/image/{id}/")

    def suggested(self) -> tuple[Page, Locator, Locator]:
        """The page after one of two photos of a person was named: the other is suggested."""
        page = self.open("/people/", **CALM)
        choose(page, photo("obama"), photo("obama2"), photo("biden"))
        expect(rows(page, "done")).to_have_count(3)
        look_at(page, "obama.jpg")
        name(page, "Barack")
        region = page.get_by_role("region", name="Suggestions")
        return page, region, region.get_by_role("button", name=re.compile("^Face"))

    def test_yes_to_all_is_one_click_and_one_undo(self) -> None:
        page, region, faces = self.suggested()
        expect(region.get_by_role("heading", name="Is this Barack?")).to_be_visible()
        expect(faces).to_have_count(1)
        expect(region.locator("img")).to_have_count(2)
        self.screenshot(page, "people-suggestions")
        self.assert_accessible(page)
        region.get_by_role("button", name="Yes to 1").click()
        message = page.locator("[data-message]")
        expect(message).to_contain_text("1 face of Barack.")
        expect(region).to_be_hidden()
        self.assertEqual(self.contacts(), {"Barack": 2})
        message.get_by_role("button", name="Undo").click()
        expect(region.get_by_role("button", name="Yes to 1")).to_be_visible()
        self.assertEqual(self.contacts(), {"Barack": 1})

    def test_keys_answer_and_a_no_lasts(self) -> None:
        page, region, faces = self.suggested()
        faces.first.focus()
        page.keyboard.press("u")
        expect(faces.first).to_have_attribute("data-answer", "unsure")
        expect(region.locator("[data-decide]")).to_be_disabled()
        page.keyboard.press("y")
        expect(region.get_by_role("button", name="Yes to 1")).to_be_enabled()
        page.keyboard.press("n")
        region.get_by_role("button", name="No to 1").press("Enter")
        expect(page.locator("[data-message]")).to_contain_text("1 not.")
        expect(region).to_be_hidden()
        page.reload()
        expect(rows(page, "done")).to_have_count(3)
        look_at(page, "obama2.jpg")
        expect(boxes(page)).to_have_attribute("data-name", "Who is this?")
        expect(region).to_be_hidden()

    def test_two_pages_that_answer_at_once_add_a_face_once(self) -> None:
        page, region, _ = self.suggested()
        other = self.open("/people/", **CALM)
        theirs = other.get_by_role("region", name="Suggestions")
        expect(region.get_by_role("button", name="Yes to 1")).to_be_visible()
        expect(theirs.get_by_role("button", name="Yes to 1")).to_be_visible()
        region.get_by_role("button", name="Yes to 1").click()
        theirs.get_by_role("button", name="Yes to 1").click()
        expect(region).to_be_hidden()
        expect(theirs).to_be_hidden()
        expect(tiles(page)).to_have_text([re.compile("Barack2 faces")])
        expect(tiles(other)).to_have_text([re.compile("Barack2 faces")])
        self.assertEqual(self.contacts(), {"Barack": 2})

    def test_on_a_phone_a_swipe_to_the_left_is_a_no(self) -> None:
        page, region, faces = self.suggested()
        expect(faces).to_have_count(1)
        for kind, x in (("pointerdown", 200), ("pointerup", 120)):
            faces.first.dispatch_event(kind, {"clientX": x, "pointerType": "touch"})
        expect(region.get_by_role("button", name="No to 1")).to_be_visible()
