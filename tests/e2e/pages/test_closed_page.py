"""The page at `/` in a real browser where keys are needed."""

from typing import Any, ClassVar, Final

from playwright.sync_api import Page, expect

from tests.support import image_factories, samples
from tests.support.browser import BrowserCase
from tests.support.page_actions import choose, feed, is_live, jpeg, rows
from wire import environment

PEOPLE: Final = (environment.ROOT / "docs" / "pictures" / "people.jpg").read_bytes()


class ClosedPageTests(BrowserCase):
    """Where keys are needed: Alice and Bob, and a rate that makes them wait."""

    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_REQUIRE_API_KEY": "true", "FACES_UPLOAD_RATE": "1/second"},
    }
    alice: ClassVar[str]
    bob: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.alice, cls.bob = (cls.key(name) for name in ("alice", "bob"))

    @classmethod
    def key(cls, name: str) -> str:
        made = cls.stack.manage("create_api_key", name, "--scopes", "upload,read")
        return made.stdout.strip().splitlines()[-1]

    def enter(self, key: str) -> Page:
        page = self.open("/")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use it").click()
        is_live(page)
        return page

    def test_it_asks_for_a_key_and_explains_an_invalid_one(self) -> None:
        self.expect_console("status of 401")
        page = self.open("/")
        self.assert_accessible(page)
        page.get_by_label("API key").fill("made.up")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_role("alert")).to_contain_text("not valid, has expired or was revoked")
        page.get_by_label("API key").fill(self.alice)
        page.keyboard.press("Enter")
        is_live(page)
        expect(page.get_by_label("API key")).to_be_hidden()
        kept = page.evaluate(
            "[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]"
        )
        self.assertIn(self.alice, kept[0])
        self.assertNotIn(self.alice, kept[1] + kept[2] + page.url)
        page.get_by_role("button", name="Forget the key").click()
        expect(page.get_by_label("API key")).to_be_visible()

    def test_a_private_feed_is_its_owners_alone(self) -> None:
        hers, also_hers, his = self.enter(self.alice), self.enter(self.alice), self.enter(self.bob)
        choose(hers, jpeg(PEOPLE, "people.jpg"))
        expect(hers.locator("[data-viewer] [data-box]")).to_have_count(4)
        expect(hers.locator("[data-viewer] .details")).to_be_visible()
        expect(feed(also_hers)).to_have_count(1)
        tile = also_hers.locator("[data-feed] img")
        tile.scroll_into_view_if_needed()
        expect(tile).to_have_js_property("naturalWidth", 1200)
        # What came after it has come: then hers would have come too.
        headers = {"X-Api-Key": self.bob}
        self.stack.post_image(samples.face(), headers=headers)
        expect(feed(his)).to_have_count(1)
        expect(feed(his)).to_contain_text("1 face")
        feed(also_hers).get_by_role("button").click()
        expect(also_hers.locator("[data-viewer] [data-box]")).to_have_count(4)
        expect(also_hers.locator("[data-viewer] .details")).to_be_visible()

    def test_uploads_above_the_rate_wait_and_are_all_sent(self) -> None:
        self.expect_console("status of 429")
        page = self.enter(self.alice)
        files = [
            jpeg(
                image_factories.encoded(image_factories.labelled(str(number), 96, 72)),
                f"{number}.jpg",
            )
            for number in range(6)
        ]
        choose(page, *files)
        expect(rows(page).filter(has_text="Trying again soon").first).to_be_visible()
        expect(rows(page, "done")).to_have_count(6)
