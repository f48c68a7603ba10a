"""The page at `/people/` in a real browser: faces get names, by mouse, keys and thumbs."""

import re
from typing import Any, ClassVar, Final

from playwright.sync_api import FilePayload, Locator, Page, Response, Route, expect

from tests.support import image_factories, photographs
from tests.support.browser import CALM, DARK, PHONE, BrowserCase
from tests.support.page_actions import OPEN_QUICKLY, choose, drop, jpeg, rows
from wire import environment

PEOPLE: Final = (environment.ROOT / "docs" / "pictures" / "people.jpg").read_bytes()
WEIGHT_BYTES: Final = 150_000
USERS: Final = "/recognition/users"


def photo(name: str) -> FilePayload:
    return jpeg(photographs.read(f"{name}.jpg"), f"{name}.jpg")


def boxes(page: Page) -> Locator:
    return page.locator(".viewer .box")


def labels(page: Page) -> list[str]:
    return [str(box.get_attribute("data-name")) for box in boxes(page).all()]


def tiles(page: Page) -> Locator:
    return page.locator("[data-tiles] > li")


def look_at(page: Page, name: str) -> None:
    page.locator("[data-mine] .item", has_text=name).first.click()
    expect(page.locator(".viewer .caption .title")).to_contain_text(name)


def name(page: Page, who: str) -> None:
    """Type a name for the face that is asked about, and Enter."""
    page.get_by_role("combobox", name=re.compile("this", re.I)).fill(who)
    page.keyboard.press("Enter")
    expect(page.locator("[data-message]")).to_contain_text(f"Named {who}.")


class PeopleCase(BrowserCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True}

    def setUp(self) -> None:
        super().setUp()
        # A crop that is still being loaded while its face is moved or removed is not found: right,
        # and the browser reports it by itself.
        self.expect_console(r"status of 404 .*/crop\.jpg")
        for user in self.stack.get(f"{USERS}/").json():
            self.stack.request("DELETE", f"{USERS}/{user['user_id']}/")

    def contacts(self) -> dict[str, int]:
        """Names and numbers of faces of the first gallery."""
        answer = self.stack.get(f"{USERS}/1/contacts/")
        found = answer.json() if answer.status_code == 200 else []
        return {each["name"]: each["faces_count"] for each in found}


class LooksTests(PeopleCase):
    shares = "people"

    def test_it_is_light_under_a_strict_policy_and_begins_as_a_drop_zone(self) -> None:
        page = self.context().new_page()
        answers: list[Response] = []
        page.on("response", lambda each: answers.append(each))
        answer = page.goto("/people/", wait_until="networkidle")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        self.assertIn("default-src 'self';", policy)
        self.assertNotIn("unsafe", policy)
        self.assertLess(sum(len(each.body()) for each in answers), WEIGHT_BYTES)
        expect(page.get_by_text("Drop photos here")).to_be_visible()
        expect(page.locator("[data-known]")).to_be_hidden()
        page.get_by_text("New faces are not grouped here").click()
        expect(page.get_by_text("FACES_GROUP_UNKNOWN=true")).to_be_visible()
        self.screenshot(page, "people-empty")
        self.assert_accessible(page)

    def test_by_day_by_night_and_on_a_phone_it_is_whole_and_accessible(self) -> None:
        for kind, options in (("light", CALM), ("dark", DARK), ("phone", PHONE)):
            with self.subTest(kind):
                page = self.open("/people/", **options)
                choose(page, jpeg(PEOPLE, "party.jpg"), photo("obama"))
                expect(rows(page, "done")).to_have_count(2)
                expect(boxes(page)).to_have_count(4)
                name(page, f"Ann {kind}")
                name(page, f"Bob {kind}")
                expect(page.get_by_text(f"Ann {kind}").first).to_be_visible()
                self.screenshot(page, f"people-{kind}")
                self.assert_fits(page)
                self.assert_accessible(page)

    def test_many_people_can_be_searched(self) -> None:
        for number in range(9):
            body = {"face_id": 1, "score": 1.0, "face_url": "http://127.0.0.1:9/"}
            path = f"{USERS}/1/contacts/{number}"
            self.stack.request("POST", f"{path}/faces", json={"faces": [body]})
            self.stack.request("PATCH", path, json={"name": f"Person of {number}"})
        page = self.open("/people/")
        expect(tiles(page)).to_have_count(9)
        page.get_by_role("searchbox").fill("OF 3")
        expect(tiles(page).locator("visible=true")).to_have_count(1)
        page.get_by_role("searchbox").fill("nobody")
        expect(page.get_by_text("No name matches.")).to_be_visible()


class NamingTests(PeopleCase):
    shares = "people"

    def test_a_name_is_given_once_and_recognised_in_the_next_photo(self) -> None:
        page = self.open("/people/")
        drop(page.locator("[data-drop]"), photo("obama"), photo("biden"), photo("obama2"))
        expect(rows(page, "done")).to_have_count(3)
        look_at(page, "obama.jpg")
        expect(boxes(page)).to_have_count(1)
        self.assertEqual(labels(page), ["Who is this?"])
        boxes(page).click()
        name(page, "Barack")
        # The next face without a name is in another photo.
        expect(page.locator(".viewer .caption .title")).to_contain_text("biden.jpg")
        name(page, "Joe")
        look_at(page, "obama2.jpg")
        expect(boxes(page)).to_have_attribute("data-name", re.compile(r"Barack\??"))
        expect(tiles(page)).to_have_text([re.compile("Barack"), re.compile("Joe")])
        expect(tiles(page).locator("img")).to_have_count(2)
        expect(tiles(page).locator("img").first).to_have_js_property("naturalWidth", 160)
        self.assertEqual(self.contacts(), {"Barack": 1, "Joe": 1})
        self.screenshot(page, "people-named")
        # Enter alone takes what is proposed.
        page.get_by_role("combobox").press("Enter")
        expect(page.locator("[data-message]")).to_contain_text("Named Barack.")
        self.assertEqual(self.contacts(), {"Barack": 2, "Joe": 1})

    def test_a_known_name_in_other_letters_is_the_same_person(self) -> None:
        page = self.open("/people/")
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        name(page, "Ann")
        boxes(page).nth(1).click()
        name(page, "ann")
        self.assertEqual(self.contacts(), {"Ann": 2})
        self.assertEqual(page.locator("datalist option").count(), 1)

    def test_a_name_can_be_taken_back_changed_and_denied(self) -> None:
        page = self.open("/people/")
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        first, undo = boxes(page).first, page.get_by_role("button", name="Undo")
        name(page, "Ann")
        expect(first).to_have_attribute("data-certainty", "named")
        undo.click()
        expect(first).to_have_attribute("data-name", "Who is this?")
        self.assertEqual(self.contacts(), {})
        name(page, "Ann")
        first.click()
        name(page, "Bea")
        expect(first).to_have_attribute("data-name", "Bea")
        self.assertEqual(self.contacts(), {"Bea": 1})
        undo.click()
        expect(first).to_have_attribute("data-name", "Ann")
        self.assertEqual(self.contacts(), {"Ann": 1})
        page.get_by_role("button", name="Not Ann").click()
        expect(first).to_have_attribute("data-name", "Who is this?")
        self.assertEqual(self.contacts(), {})
        undo.click()
        expect(first).to_have_attribute("data-name", "Ann")

    def test_a_denied_guess_stays_denied_after_a_reload(self) -> None:
        page = self.open("/people/")
        choose(page, photo("obama"), photo("obama2"))
        expect(rows(page, "done")).to_have_count(2)
        look_at(page, "obama.jpg")
        name(page, "Barack")
        look_at(page, "obama2.jpg")
        expect(boxes(page)).to_have_attribute("data-name", re.compile("Barack"))
        page.get_by_role("button", name="Not Barack").click()
        expect(boxes(page)).to_have_attribute("data-name", "Who is this?")
        page.reload()
        expect(rows(page, "done")).to_have_count(2)
        look_at(page, "obama2.jpg")
        expect(boxes(page)).to_have_attribute("data-name", "Who is this?")
        look_at(page, "obama.jpg")
        expect(boxes(page)).to_have_attribute("data-certainty", "named")

    def test_it_works_with_keys_alone_also_faster_than_the_service(self) -> None:
        page = self.open("/people/")
        pair = image_factories.encoded(image_factories.side_by_side(width=300))
        choose(page, jpeg(pair, "pair.jpg"))
        expect(boxes(page)).to_have_count(2)
        page.get_by_role("button", name="Face 1: Who is this?").press("Enter")
        for who in ("Ann", "Bob"):
            page.keyboard.type(who)
            page.keyboard.press("Enter")
        expect(page.locator("[data-message]")).to_contain_text("Named Bob.")
        expect(page.locator(".viewer .caption .title")).to_contain_text("all named")
        self.assertEqual(self.contacts(), {"Ann": 1, "Bob": 1})

    def test_a_face_that_is_named_anew_before_its_name_is_saved_gets_the_last_name(self) -> None:
        page = self.open("/people/")
        held: list[Route] = []

        def hold_first(route: Route) -> None:
            if held:
                route.continue_()
            else:
                held.append(route)

        page.route("**/contacts/", hold_first)
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        for who in ("Ann", "Bea"):
            boxes(page).first.click()
            page.get_by_role("combobox").fill(who)
            page.keyboard.press("Enter")
            expect(boxes(page).first).to_have_attribute("data-name", who)
        held[0].continue_()
        expect(page.locator("[data-message]")).to_contain_text("Named Bea.")
        expect(boxes(page).first).to_have_attribute("data-name", "Bea")
        self.assertEqual(self.contacts(), {"Bea": 1})

    def test_a_photo_that_is_left_and_opened_again_at_once_has_its_boxes(self) -> None:
        page = self.open("/people/")
        choose(page, jpeg(PEOPLE, "party.jpg"), photo("obama"))
        expect(rows(page, "done")).to_have_count(2)
        rows(page).nth(1).get_by_role("button").first.click()
        expect(boxes(page)).to_have_count(1)
        rows(page).evaluate_all(OPEN_QUICKLY)
        expect(boxes(page)).to_have_count(4)
        expect(boxes(page).first).to_have_attribute("data-name", "Who is this?")

    def test_a_photo_without_faces_and_a_file_that_is_no_photo_say_so(self) -> None:
        self.expect_console("status of 400")
        page = self.open("/people/")
        empty = image_factories.encoded(image_factories.faceless())
        choose(page, jpeg(empty, "empty.png", "image/png"), jpeg(b"no image", "notes.jpg"))
        expect(rows(page, "done")).to_have_count(1)
        look_at(page, "empty.png")
        expect(page.locator(".viewer .caption .title")).to_have_text("empty.png: no face was found")
        expect(rows(page, "failed")).to_contain_text("Upload a valid image.")

    def test_the_front_page_leads_to_it(self) -> None:
        page = self.open("/")
        choose(page, jpeg(PEOPLE, "party.jpg"))
        page.get_by_role("link", name="Name the people").click()
        page.wait_for_url("**/people/**")
        expect(boxes(page)).to_have_count(4)
        name(page, "Ann")

    def test_on_the_front_page_faces_get_names_too(self) -> None:
        page = self.open("/", **CALM)
        choose(page, jpeg(PEOPLE, "party.jpg"))
        message = page.locator("[data-message]")
        expect(page.get_by_label("Who is this?")).to_be_visible()
        name(page, "Ann")
        expect(boxes(page).first).to_have_attribute("data-certainty", "named")
        # The next face is asked about, with the name in reach of the keys.
        expect(page.get_by_role("button", name="Face 2 of 4")).to_have_attribute(
            "aria-pressed", "true"
        )
        name(page, "Bea")
        self.assertEqual(self.contacts(), {"Ann": 1, "Bea": 1})
        self.screenshot(page, "page-names")
        self.assert_accessible(page)
        message.get_by_role("button", name="Undo").click()
        expect(boxes(page).nth(1)).not_to_have_attribute("data-name", "Bea")
        self.assertEqual(self.contacts(), {"Ann": 1})
        page.reload()
        rows(page).get_by_role("button").first.click()
        expect(boxes(page).first).to_have_attribute("data-name", "Ann")
        page.get_by_role("button", name="Not Ann").click()
        expect(message).to_contain_text("Not Ann.")
        expect(boxes(page).first).to_have_attribute("data-name", "Who is this?")
        self.assertEqual(self.contacts(), {})

    def test_a_person_is_renamed_merged_and_forgotten(self) -> None:
        page = self.open("/people/", **CALM)
        page.on("dialog", lambda dialog: dialog.accept())
        pair = image_factories.encoded(image_factories.side_by_side(width=300))
        choose(page, jpeg(pair, "pair.jpg"))
        expect(boxes(page)).to_have_count(2)
        for who in ("Anna", "Bob"):
            name(page, who)
        expect(tiles(page)).to_have_count(2)
        dialog = page.get_by_role("dialog")
        tiles(page).filter(has_text="Anna").click()
        expect(dialog.locator("img")).to_have_count(1)
        self.screenshot(page, "people-person", whole=False)
        self.assert_accessible(page)
        dialog.get_by_label("Name").fill("Ann")
        dialog.get_by_role("button", name="Rename").click()
        expect(dialog).to_be_hidden()
        expect(tiles(page)).to_have_text([re.compile("Ann1 face"), re.compile("Bob1 face")])
        expect(boxes(page).first).to_have_attribute("data-name", "Ann")
        tiles(page).filter(has_text="Bob").click()
        dialog.get_by_label("Name").fill("ann")
        dialog.get_by_role("button", name="Rename").click()
        expect(dialog.get_by_role("heading", name="Are they one person?")).to_be_visible()
        expect(dialog.locator("img")).to_have_count(2)
        self.screenshot(page, "people-merge", whole=False)
        self.assert_accessible(page)
        dialog.get_by_role("button", name="Yes, put them together").click()
        expect(tiles(page)).to_have_text([re.compile("Ann2 faces")])
        expect(page.locator("[data-message]")).to_contain_text("are one person now.")
        page.get_by_role("button", name="Undo").click()
        expect(tiles(page)).to_have_text([re.compile("Ann1 face"), re.compile("Bob1 face")])
        expect(tiles(page).locator("img")).to_have_count(2)
        tiles(page).filter(has_text="Bob").click()
        dialog.get_by_label("Name").fill("ann")
        dialog.get_by_role("button", name="Rename").click()
        dialog.get_by_role("button", name="Yes, put them together").click()
        expect(tiles(page)).to_have_text([re.compile("Ann2 faces")])
        tiles(page).click()
        dialog.get_by_role("button", name="Remove face 1").click()
        expect(tiles(page)).to_have_text([re.compile("Ann1 face")])
        tiles(page).click()
        dialog.get_by_role("button", name="Forget Ann").click()
        expect(tiles(page)).to_have_count(0)
        self.assertEqual(self.contacts(), {})
        expect(boxes(page).first).to_have_attribute("data-name", "Who is this?")

    def test_a_face_is_moved_to_a_new_person_and_back_and_everybody_is_forgotten(self) -> None:
        page = self.open("/people/", **CALM)
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        name(page, "Ann")
        boxes(page).nth(1).click()
        name(page, "Ann")
        dialog, message = page.get_by_role("dialog"), page.locator("[data-message]")
        expect(tiles(page)).to_have_text([re.compile("Ann2 faces")])
        tiles(page).click()
        dialog.get_by_role("checkbox", name="Choose face 2").check()
        dialog.get_by_label("The chosen faces are of").fill("Bea")
        self.screenshot(page, "people-move", whole=False)
        self.assert_accessible(page)
        page.keyboard.press("Enter")
        expect(message).to_contain_text("Moved 1 face to Bea.")
        expect(tiles(page)).to_have_text([re.compile("Ann1 face"), re.compile("Bea1 face")])
        message.get_by_role("button", name="Undo").click()
        expect(tiles(page)).to_have_text([re.compile("Ann2 faces")])
        page.get_by_role("button", name="Forget everybody").click()
        expect(dialog).to_contain_text("1 person with 2 faces")
        button = dialog.get_by_role("button", name="Forget everybody")
        dialog.get_by_label("Type 1 to confirm").fill("7")
        expect(button).to_be_disabled()
        dialog.get_by_label("Type 1 to confirm").fill("1")
        self.screenshot(page, "people-forget-all", whole=False)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(tiles(page)).to_have_count(0)
        self.assertEqual(self.contacts(), {})

    def test_another_gallery_can_be_chosen(self) -> None:
        for user in (1, 7):
            body = {"face_id": 1, "score": 1.0, "face_url": "http://127.0.0.1:9/"}
            path = f"{USERS}/{user}/contacts/1"
            self.stack.request("POST", f"{path}/faces", json={"faces": [body]})
            self.stack.request("PATCH", path, json={"name": f"Ann of {user}"})
        page = self.open("/people/")
        expect(tiles(page)).to_contain_text(["Ann of 1"])
        page.get_by_label("Gallery").select_option("7")
        expect(tiles(page)).to_contain_text(["Ann of 7"])


class KeyTests(PeopleCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_REQUIRE_API_KEY": "true"},
    }

    def setUp(self) -> None:
        BrowserCase.setUp(self)

    def test_with_a_key_names_and_crops_are_of_its_client_alone(self) -> None:
        page = self.open("/people/")
        expect(page.get_by_label("API key")).to_be_visible()
        page.get_by_label("API key").fill(self.key("alice"))
        page.keyboard.press("Enter")
        choose(page, jpeg(PEOPLE, "party.jpg"))
        expect(boxes(page)).to_have_count(4)
        name(page, "Ann")
        expect(tiles(page).locator("img")).to_have_count(1)
        other = self.open("/people/")
        other.get_by_label("API key").fill(self.key("bob"))
        other.keyboard.press("Enter")
        expect(other.get_by_label("API key")).to_be_hidden()
        expect(tiles(other)).to_have_count(0)

    def key(self, client: str) -> str:
        made = self.stack.manage("create_api_key", client, "--scopes", "upload,read,recognise")
        return str(made.stdout.split()[-1])
