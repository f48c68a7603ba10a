"""The page at `/` in a real browser: all that it is for, and its manners."""

import json
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Final

from playwright.sync_api import Page, Response, expect

from tests.support import image_factories, samples
from tests.support.browser import CALM, DARK, DESKTOP, PHONE, BrowserCase
from tests.support.page_actions import (
    OPEN_QUICKLY,
    choose,
    drop,
    feed,
    is_live,
    jpeg,
    rows,
    transfer,
)
from tests.support.stack import wait_until
from wire import environment

PEOPLE = (environment.ROOT / "docs" / "pictures" / "people.jpg").read_bytes()
MAX_BYTES = 1_000_000
MANY = 120
WEIGHT_BYTES = 150_000

Box = dict[str, int]


class PageTests(BrowserCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_MAX_UPLOAD_BYTES": str(MAX_BYTES)},
    }
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

    def submission_of(self, name: str) -> str:
        """The id of the newest upload of a file with this name."""
        newest: list[str] = []

        def is_there() -> bool:
            # The file's own name is not kept: only how old the row is.
            found = sorted(self.stack.submissions().items(), key=lambda item: item[1]["created_at"])
            newest[:] = [id for id, _ in found[-1:]]
            return bool(newest)

        wait_until(is_there, f"{name} has arrived")
        return newest[0]

    # --- what it weighs, and how it looks

    def test_it_is_light_and_comes_from_here_under_a_strict_policy(self) -> None:
        page = self.context().new_page()
        answers: list[Response] = []
        page.on("response", lambda each: answers.append(each))
        answer = page.goto("/", wait_until="networkidle")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        self.assertIn("default-src 'self';", policy)
        self.assertNotIn("unsafe", policy)
        sizes = {each.url: len(each.body()) for each in answers if not _RESULT.search(each.url)}
        self.assertGreater(len(sizes), 10)
        self.assertLess(sum(sizes.values()), WEIGHT_BYTES)
        is_live(page)
        self.screenshot(page, "page-empty")

    def test_axe_finds_nothing_serious_by_day_and_by_night(self) -> None:
        self.expect_console("status of 400")
        for name, options in (("light", CALM), ("dark", DARK)):
            with self.subTest(name):
                page = self.open("/", **options)
                self.assert_accessible(page)
                choose(page, jpeg(PEOPLE, "people.jpg"), jpeg(b"no image", "notes.jpg"))
                expect(page.locator(".details")).to_be_visible()
                expect(rows(page, "failed")).to_have_count(1)
                self.assert_accessible(page)
                self.screenshot(page, f"page-{name}")

    def test_the_dark_is_the_systems_or_ones_own_choice_and_stays(self) -> None:
        colour = "getComputedStyle(document.body).backgroundColor"
        page = self.open("/", **DARK)
        dark = page.evaluate(colour)
        self.assertNotEqual(dark, self.open("/").evaluate(colour))
        toggle = page.get_by_role("button", name="Dark colours")
        expect(toggle).to_have_attribute("aria-pressed", "true")
        toggle.click()
        light = page.evaluate(colour)
        self.assertNotEqual(light, dark)
        page.reload()
        self.assertEqual(page.evaluate(colour), light)

    def test_a_phone_shows_all_of_it_without_scrolling_sideways(self) -> None:
        page = self.open("/", **PHONE)
        self.assert_fits(page)
        choose(page, jpeg(PEOPLE, "a file with a very long name " * 5 + ".jpg"))
        expect(page.locator(".details")).to_be_visible()
        self.assert_fits(page)
        self.assert_accessible(page)
        self.screenshot(page, "page-phone")

    def test_the_detector_is_a_choice_that_stays_and_is_sent(self) -> None:
        page = self.open("/")
        chosen = page.get_by_label("Detector")
        expect(chosen).to_have_value("")
        chosen.select_option("cnn")
        page.reload()
        expect(chosen).to_have_value("cnn")
        choose(page, jpeg(samples.face(), "by-cnn.jpg"))
        expect(page.locator(".details")).to_be_visible()
        status = self.stack.status(self.submission_of("by-cnn.jpg"))
        self.assertEqual(status["detector"], "cnn")
        chosen.select_option("")
        page.reload()
        expect(chosen).to_have_value("")
        # One that the service no longer has is forgotten.
        page.evaluate("localStorage.setItem('faces-detector', 'gone')")
        page.reload()
        expect(chosen).to_have_value("")

    # --- from a file to a face

    def test_each_state_of_an_upload_is_shown(self) -> None:
        page = self.open("/")
        is_live(page)
        page.evaluate(
            """() => {
                window.told = new Set();
                const note = () => document.querySelectorAll("[data-mine] .state")
                    .forEach((each) => told.add(each.textContent));
                new MutationObserver(note).observe(document.querySelector("[data-mine]"),
                    { childList: true, subtree: true, characterData: true });
            }"""
        )
        network = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
        network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 400_000})
        self.stack.pool.stop()
        photo = samples.another(samples.phone_photo(), 1)
        choose(page, jpeg(photo, "phone.jpg"))
        expect(rows(page)).to_contain_text("Queued")
        told = page.evaluate("[...told]")
        self.assertTrue([text for text in told if text.startswith("Uploading, ")], told)
        id = self.submission_of("phone.jpg")
        self.stack.pool.start()
        job = self.stack.wait_in_work(id)
        os.kill(job, signal.SIGSTOP)
        expect(rows(page)).to_contain_text("Looking for faces")
        os.kill(job, signal.SIGCONT)
        expect(rows(page)).to_contain_text("2 faces")

    def test_boxes_lie_on_the_pixels_that_the_service_names_at_any_size(self) -> None:
        upright = image_factories.side_by_side(width=400)
        turned = image_factories.oriented(upright, 6)
        for options in (DESKTOP, PHONE):
            page = self.open("/", **{**CALM, **options})
            choose(page, jpeg(turned, "turned.jpg"))
            expect(page.locator("[data-box]")).to_have_count(2)
            expect(page.locator(".details")).to_be_visible()
            boxes = [
                face["box"] for face in self.stack.status(self.submission_of("turned.jpg"))["faces"]
            ]
            page.locator(".frame").scroll_into_view_if_needed()
            self.assert_boxes(page, boxes, upright.size)

    def assert_boxes(self, page: Page, boxes: list[Box], size: tuple[int, int]) -> None:
        image = page.locator(".frame img").bounding_box()
        assert image is not None
        scale = (image["width"] / size[0], image["height"] / size[1])
        self.assertAlmostEqual(scale[0], scale[1], delta=0.01)
        for box, drawn in zip(boxes, page.locator("[data-box]").all(), strict=True):
            seen = drawn.bounding_box()
            assert seen is not None
            wanted = (
                image["x"] + box["left"] * scale[0],
                image["y"] + box["top"] * scale[1],
                (box["right"] - box["left"]) * scale[0],
                (box["bottom"] - box["top"]) * scale[1],
            )
            found = (seen["x"], seen["y"], seen["width"], seen["height"])
            for want, have in zip(wanted, found, strict=True):
                self.assertAlmostEqual(want, have, delta=1)

    def test_a_click_on_a_face_shows_its_numbers_as_the_api_has_them(self) -> None:
        page = self.open("/", permissions=["clipboard-read", "clipboard-write"])
        choose(page, jpeg(PEOPLE, "people.jpg"))
        expect(page.locator(".details")).to_be_visible()
        id = self.submission_of("people.jpg")
        faces = self.stack.get(f"/image/{id}/faces/").json()["faces"]
        self.assertEqual(len(faces), 4)
        page.locator("[data-box]").nth(2).click()
        details = page.get_by_role("group", name="Face 3", exact=True)
        expect(details).to_contain_text(f"{round(faces[2]['quality']['size_px'])} px")
        shown = details.locator("[data-encoding]").text_content()
        self.assertEqual(json.loads(shown or ""), faces[2]["encoding"])
        details.get_by_role("button", name="Copy").click()
        expect(details.get_by_role("button", name="Copied")).to_be_visible()
        self.assertEqual(page.evaluate("navigator.clipboard.readText()"), shown)

    def test_all_of_it_goes_by_keyboard_alone(self) -> None:
        page = self.open("/")
        with page.expect_file_chooser() as chooser:
            self.tab_to(page, "document.activeElement.id === 'files'")
            page.keyboard.press("Enter")
        chooser.value.set_files([jpeg(PEOPLE, "people.jpg")])
        expect(page.locator(".details")).to_be_visible()
        self.tab_to(page, "document.activeElement.ariaLabel === 'Face 2 of 4'")
        page.keyboard.press("Enter")
        expect(page.get_by_role("group", name="Face 2", exact=True)).to_be_visible()

    def tab_to(self, page: Page, is_there: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(is_there):
                return
        self.fail(f"no way there by the Tab key: {is_there}")

    def test_images_come_by_drop_by_paste_and_from_the_camera(self) -> None:
        page = self.open("/", permissions=["camera"])
        drop(page.locator("[data-drop]"), jpeg(samples.face(), "dropped.jpg"))
        expect(rows(page, "done")).to_have_count(1)
        data = transfer(page, [jpeg(samples.no_face(), "pasted.jpg")])
        page.evaluate(
            """data => document.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true }))""",
            data,
        )
        expect(rows(page, "done")).to_have_count(2)
        page.get_by_role("button", name="Camera").click()
        expect(page.get_by_role("button", name="Take it")).to_be_enabled()
        self.assert_accessible(page)
        page.get_by_role("button", name="Take it").click()
        expect(rows(page, "done")).to_have_count(3)
        expect(rows(page).last).to_contain_text("camera.jpg")

    def test_a_folder_is_walked_through_for_images(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "deeper").mkdir()
        for name in ("a.jpg", "deeper/b.JPG"):
            (folder / name).write_bytes(samples.no_face())
        (folder / "notes.txt").write_text("no image")
        page = self.open("/")
        browser = page.context.new_cdp_session(page)
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            browser.send(
                "Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 500, "data": data}
            )
        expect(rows(page, "done")).to_have_count(2)
        expect(rows(page)).to_have_count(2)

    def test_a_file_that_the_browser_cannot_decode_is_shown_as_the_services_picture(self) -> None:
        page = self.open("/")
        heic = image_factories.encoded(image_factories.portrait(width=300), "HEIC")
        choose(page, jpeg(heic, "phone.heic", "image/heic"))
        expect(page.locator(".frame img")).to_have_attribute("src", _RESULT)
        expect(page.locator("[data-box]")).to_have_count(1)

    def test_an_image_that_is_left_and_opened_again_at_once_has_its_boxes(self) -> None:
        page = self.open("/")
        choose(page, jpeg(PEOPLE, "people.jpg"), jpeg(samples.no_face(), "empty.jpg"))
        expect(rows(page, "done")).to_have_count(2)
        rows(page).evaluate_all(OPEN_QUICKLY)
        expect(page.locator("[data-viewer] .title")).to_have_text("people.jpg")
        expect(page.locator("[data-viewer] [data-box]")).to_have_count(4)
        expect(page.locator("[data-viewer] .details")).to_be_visible()

    def test_an_erased_image_is_gone_from_the_page_and_the_service(self) -> None:
        page = self.open("/")
        choose(page, jpeg(samples.another(samples.face(), 7), "mine.jpg"))
        expect(page.locator(".details")).to_be_visible()
        id = self.submission_of("mine.jpg")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Erase", exact=True).click()
        expect(rows(page)).to_have_count(0)
        self.assertNotIn(id, self.stack.submissions())

    # --- what goes wrong

    def test_a_refused_file_is_explained_in_words(self) -> None:
        self.expect_console("status of 400")
        page = self.open("/")
        choose(page, jpeg(b"no image", "notes.jpg"), jpeg(bytes(MAX_BYTES + 1), "huge.jpg"))
        expect(rows(page, "failed")).to_have_count(2)
        expect(rows(page).first).to_contain_text("Upload a valid image.")
        expect(rows(page).last).to_contain_text("too large: at most 977 KB")
        rows(page).last.get_by_role("button").first.click()
        expect(page.locator("[data-viewer]")).to_contain_text("There is no picture to show.")
        self.screenshot(page, "page-refused", whole=False)

    def test_it_waits_for_the_network_and_goes_on_by_itself(self) -> None:
        self.expect_console("ERR_INTERNET_DISCONNECTED|WebSocket")
        page = self.open("/")
        is_live(page)
        page.context.set_offline(True)
        choose(page, jpeg(samples.face(), "patient.jpg"))
        expect(rows(page)).to_contain_text("You are offline.")
        page.context.set_offline(False)
        expect(rows(page, "done")).to_have_count(1)

    def test_several_hundred_at_once_do_not_freeze_it(self) -> None:
        page = self.open("/")
        page.evaluate(
            """() => {
                window.longest = 0;
                new PerformanceObserver((list) => list.getEntries().forEach((each) => {
                    longest = Math.max(longest, each.duration);
                })).observe({ type: "longtask" });
            }"""
        )
        files = [
            jpeg(
                image_factories.encoded(image_factories.labelled(str(number), 96, 72)),
                f"{number}.jpg",
            )
            for number in range(MANY)
        ]
        # Held until the click, which is to find all of them on their way.
        self.stack.pool.stop()
        choose(page, *files)
        expect(rows(page)).to_have_count(MANY)
        rows(page).nth(5).get_by_role("button").first.click()
        expect(page.locator("[data-viewer] .title")).to_have_text("5.jpg")
        self.stack.pool.start()
        expect(rows(page, "done")).to_have_count(MANY)
        expect(page.locator("[data-summary]")).to_contain_text(f"{MANY} of {MANY} done")
        print(f"\n{MANY} images: longest task {page.evaluate('longest'):.0f} ms")

    # --- others

    def test_two_browsers_see_the_images_of_each_other(self) -> None:
        one, two = self.open("/"), self.open("/")
        is_live(one)
        is_live(two)
        choose(one, jpeg(PEOPLE, "people.jpg"))
        expect(rows(one, "done")).to_have_count(1)
        mine = self.submission_of("people.jpg")
        theirs = two.locator(f"[data-feed] > [data-id='{mine}']")
        expect(theirs).to_contain_text("4 faces")
        expect(one.locator(f"[data-feed] > [data-id='{mine}']")).to_have_count(0)
        theirs.get_by_role("button").click()
        expect(two.locator("[data-viewer] [data-box]")).to_have_count(4)
        expect(two.locator("[data-viewer] .details")).to_be_visible()

    def test_a_new_image_does_not_move_the_row_under_the_pointer(self) -> None:
        newest = self.stack.upload(PEOPLE)
        self.stack.wait_ended([newest])
        page = self.open("/")
        # Its event is the last of those from before.
        expect(feed(page).first).to_have_attribute("data-id", newest)
        feed(page).first.hover()
        before = self.shown(page)
        id = self.stack.upload(samples.another(samples.face(), 40))
        fresh = page.locator("[data-feed-fresh]")
        expect(fresh).to_have_text("1 new")
        self.assertEqual(self.shown(page), before)
        fresh.click()
        expect(feed(page).first).to_have_attribute("data-id", id)
        expect(fresh).to_be_hidden()

    def shown(self, page: Page) -> list[str | None]:
        return [each.get_attribute("data-id") for each in feed(page).all()]

    def test_events_during_a_lost_connection_are_shown_later(self) -> None:
        self.expect_console("WebSocket")
        page = self.open("/")
        is_live(page)
        server = self.stack.wsservers[0]
        server.stop()
        expect(page.locator("[data-feed-state]")).not_to_have_text("Live")
        choose(page, jpeg(samples.another(samples.face(), 20), "mine.jpg"))
        expect(rows(page, "done")).to_have_count(1)  # by asking
        missed = [self.stack.upload(samples.another(samples.face(), n)) for n in (21, 22)]
        self.stack.wait_until_ended(missed)
        server.start()
        is_live(page)
        for id in missed:
            expect(page.locator(f"[data-feed] > [data-id='{id}']")).to_have_count(1)

    # --- compare, look up

    def test_two_faces_are_compared_and_the_verdict_means_something(self) -> None:
        page = self.open("/")
        same = [
            image_factories.encoded(image_factories.portrait(name, 300))
            for name in ("obama.jpg", "obama2.jpg")
        ]
        other = image_factories.encoded(image_factories.portrait("biden.jpg", 300))
        page.set_input_files("#side-1", jpeg(same[0], "one.jpg"))
        drop(page.locator("[data-side='2']"), jpeg(same[1], "two.jpg"))
        verdict = page.locator("[data-verdict]")
        expect(verdict.get_by_role("heading")).to_have_text("The same person")
        files = {f"image_{n}": ("a.jpg", data) for n, data in enumerate(same, 1)}
        answer = self.stack.request("POST", "/verify", files=files).json()
        shown = verdict.locator("[data-distance]").get_attribute("data-distance")
        self.assertAlmostEqual(float(shown or 0), answer["distance"])
        expect(verdict).to_contain_text("1 in 188 pairs")
        page.set_input_files("#side-2", jpeg(other, "other.jpg"))
        expect(verdict.get_by_role("heading")).to_have_text("Two different people")
        self.assert_accessible(page)
        self.expect_console("status of 422")
        page.set_input_files("#side-1", jpeg(samples.no_face(), "nobody.jpg"))
        expect(verdict).to_have_text("First picture: No faces found!")
        expect(rows(page)).to_have_count(0)

    def test_an_image_is_found_again_by_its_hash(self) -> None:
        self.expect_console("status of 422")
        page = self.open("/")
        file = samples.another(samples.face(), 30)
        page.set_input_files("#hash-file", jpeg(file, "again.jpg"))
        page.get_by_role("button", name="Compute them now").click()
        found = page.locator("[data-look-up-result]")
        expect(found.locator(".details")).to_be_visible()
        expect(found.locator("[data-box]")).to_have_count(1)
        hash = page.locator("#hash").input_value()
        other = self.open("/")
        other.locator("#hash").fill("nonsense")
        other.get_by_role("button", name="Look up", exact=True).click()
        expect(other.locator("[data-look-up-says]")).to_contain_text("64 hexadecimal digits")
        other.locator("#hash").fill(hash.upper())
        other.locator("#hash").press("Enter")
        shown = other.locator("[data-look-up-result] [data-encoding]").text_content()
        answer = self.stack.get(f"/face_encoding/{hash}").json()
        self.assertEqual(json.loads(shown or ""), answer["face_encoding"])


_RESULT: Final = re.compile(r"/static/processed_faces/")
