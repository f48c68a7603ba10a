"""Boxes by hand on the page at `/people/`: missed faces are drawn, boxes without a face hidden."""

import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages.test_people_page import (
    PEOPLE,
    PeopleCase,
    boxes,
    look_at,
    name,
    photo,
    tiles,
)
from tests.support import image_factories
from tests.support.browser import CALM, PHONE
from tests.support.page_actions import choose, jpeg, rows

EMPTY = image_factories.encoded(image_factories.faceless(), "PNG")

# Two corners of a box, as shares of the picture's width and height.
_SHARES: Final = """each => [["left", "top", 0, 0], ["left", "top", "width", "height"]].map(
    ([x, y, across, down]) => [[x, across], [y, down]].map(([from, by]) =>
        (parseFloat(each.style[from]) + (by ? parseFloat(each.style[by]) : 0)) / 100))"""


def draft(page: Page) -> Locator:
    """The box that is being drawn, as soon as it is."""
    page.get_by_role("button", name="Box a missed face").click()
    drawn = page.get_by_role("button", name=re.compile("^New box"))
    expect(drawn).to_be_focused()
    return drawn


class BoxesTests(PeopleCase):
    shares = "boxes"

    def setUp(self) -> None:
        super().setUp()
        # What was said of the same bytes before goes with their last copy.
        for id in self.stack.submissions():
            self.stack.request("DELETE", f"/image/{id}/")

    def test_no_face_is_hidden_undone_and_drawn_again_by_mouse(self) -> None:
        page = self.open("/people/", **CALM)
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        name(page, "Ann")
        boxes(page).first.click()
        face = boxes(page).first.evaluate(_SHARES)
        page.get_by_role("button", name="Not a face").click()
        message = page.locator("[data-message]")
        expect(message).to_contain_text("Not a face.")
        expect(boxes(page)).to_have_count(3)
        self.assertEqual(self.contacts(), {})
        message.get_by_role("button", name="Undo").click()
        expect(boxes(page)).to_have_count(4)
        expect(boxes(page).first).to_have_attribute("data-name", "Ann")
        page.get_by_role("button", name="Not a face").click()
        expect(boxes(page)).to_have_count(3)
        page.reload()
        expect(rows(page, "done")).to_contain_text("3")
        expect(boxes(page)).to_have_count(3)
        draft(page)
        self.screenshot(page, "people-draw")
        self.assert_accessible(page)
        page.locator(".frame").scroll_into_view_if_needed()
        frame = page.locator(".frame").bounding_box()
        assert frame is not None
        corners = [
            (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in face
        ]
        page.mouse.move(*corners[0])
        page.mouse.down()
        page.mouse.move(*corners[1], steps=4)
        page.mouse.up()
        expect(boxes(page)).to_have_count(4)
        name(page, "Bea")
        self.assertEqual(self.contacts(), {"Bea": 1})

    def test_on_a_phone_by_keys_a_box_without_a_clear_face_is_kept_with_the_reason(
        self,
    ) -> None:
        page = self.open("/people/", **{**PHONE, "reduced_motion": "reduce"})
        choose(page, jpeg(EMPTY, "empty.png", "image/png"))
        title = page.locator(".viewer .caption .title")
        expect(title).to_have_text("empty.png: no face was found")
        box = draft(page)
        left = box.evaluate("each => each.offsetLeft")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Shift+ArrowRight")
        self.assertLess(box.evaluate("each => each.offsetLeft"), left)
        page.keyboard.press("Escape")
        expect(box).to_have_count(0)
        draft(page)
        page.keyboard.press("Enter")
        message = page.locator("[data-message]")
        expect(message).to_contain_text("It is kept as a box: too unclear")
        expect(boxes(page)).to_have_count(1)
        self.assert_fits(page)
        self.assert_accessible(page)
        message.get_by_role("button", name="Undo").click()
        expect(title).to_have_text("empty.png: no face was found")
        expect(tiles(page)).to_have_count(0)


class WhyTests(PeopleCase):
    shares = "boxes"

    def test_why_shows_the_known_face_how_sure_that_is_and_the_rivals(self) -> None:
        page = self.open("/people/", **CALM)
        choose(page, photo("obama"), photo("obama2"), photo("biden"))
        expect(rows(page, "done")).to_have_count(3)
        look_at(page, "obama.jpg")
        expect(boxes(page)).to_have_count(1)
        why = page.locator(".why")
        expect(why).to_be_hidden()
        name(page, "Barack")
        look_at(page, "biden.jpg")
        name(page, "Joe")
        look_at(page, "obama2.jpg")
        expect(boxes(page)).to_have_attribute("data-name", re.compile("Barack"))
        page.get_by_text("Why?").click()
        expect(why.get_by_text("The nearest face of Barack")).to_be_visible()
        expect(why.locator("img")).to_have_count(1)
        expect(why).to_contain_text("Sure: of 20 such answers fewer than 1 is wrong.")
        expect(why).to_contain_text("No other known person comes near.")
        self.screenshot(page, "people-why")
        self.assert_accessible(page)
        # What is said follows the face.
        look_at(page, "biden.jpg")
        expect(why).to_contain_text("This name was given to this very face.")
