"""The service below a path of another server's host, behind a real proxy, in a real browser."""

from typing import Any, ClassVar, Final

from playwright.sync_api import Page, Request, expect

from tests.support import samples
from tests.support.browser import BrowserCase
from tests.support.front_proxy import FrontProxy
from tests.support.listener import Listener
from tests.support.page_actions import choose, is_live, jpeg, rows

_PASSWORD: Final = "correct horse battery"
_MAKE: Final = (
    "from django.contrib.auth.models import User;"
    f"User.objects.create_superuser('zoe', password='{_PASSWORD}')"
)
_BASE: Final = "/faces-app"


class BelowPathTests(BrowserCase):
    """`keep`: the proxy passes the path on; `strip`: it removes it; both are common."""

    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {
            "SERVICE_URL": "",
            "FACES_BASE_PATH": _BASE,
            "FACES_TRUSTED_PROXIES": "127.0.0.1, ::1",
        },
    }
    front: ClassVar[FrontProxy]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        inner = cls.stack.url
        targets = {"keep": (f"{_BASE}/", inner), "strip": (f"{_BASE}/", f"{inner}/")}
        cls.front = cls.enterClassContext(FrontProxy(targets))
        made = cls.stack.manage("shell", "-c", _MAKE)
        assert made.returncode == 0, made.stderr

    def _on_request(self, request: Request) -> None:
        fronts = tuple(f"{self.front.url(mode)}{_BASE}/" for mode in ("keep", "strip"))
        sockets = tuple(each.replace("http", "ws", 1) for each in fronts)
        if not request.url.startswith((*fronts, *sockets, "blob:", "data:")):
            self._strangers.append(request.url)

    def both(self) -> list[tuple[str, Page, str]]:
        return [
            (mode, self.context().new_page(), f"{self.front.url(mode)}{_BASE}")
            for mode in ("keep", "strip")
        ]

    def test_the_page_uploads_and_its_feed_is_live(self) -> None:
        for mode, page, url in self.both():
            with self.subTest(mode):
                page.goto(f"{url}/")
                is_live(page)
                choose(page, jpeg(samples.face(), "one.jpg"))
                expect(rows(page)).to_contain_text("1 face")
                page.get_by_role("link", name="API", exact=True).first.click()
                expect(page.get_by_text("/image/").first).to_be_visible()

    def test_people_get_names_and_crops(self) -> None:
        for mode, page, url in self.both():
            with self.subTest(mode):
                page.goto(f"{url}/")
                page.get_by_role("link", name="People").click()
                # The page before has such a field too.
                page.wait_for_url("**/people/**")
                choose(page, jpeg(samples.face(), "one.jpg"))
                page.get_by_role("combobox").fill(f"Ann of {mode}")
                page.get_by_role("combobox").press("Enter")
                tile = page.locator("[data-tiles] > li", has_text=f"Ann of {mode}")
                expect(tile.locator("img")).to_be_visible()

    def test_members_and_staff_log_in(self) -> None:
        # The pages of the admin name no icon, so browsers ask the other server for its own.
        self.expect_console("favicon.ico")
        for mode, page, url in self.both():
            with self.subTest(mode):
                page.goto(f"{url}/members/photos/facedetection/you/")
                page.get_by_label("Name").fill("zoe")
                page.get_by_label("Password").fill(_PASSWORD)
                page.get_by_role("button", name="Log in").click()
                expect(page.get_by_role("heading", name="Photos of me")).to_be_visible()
                self.assertTrue(page.url.startswith(f"{url}/members/"))
                cookies = {each["name"]: each["path"] for each in page.context.cookies(f"{url}/")}
                self.assertEqual(cookies["faces_session"], f"{_BASE}/")
                page.goto(f"{url}/admin/")
                expect(page.get_by_role("heading", name="Administration")).to_be_visible()
                page.get_by_role("link", name="View site").click()
                expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
                page.goto(f"{url}/admin/")
                page.get_by_role("button", name="Log out").click()
                expect(page.get_by_text("Logged out")).to_be_visible()

    def test_links_have_the_host_by_which_the_request_came_and_lead_there(self) -> None:
        for mode in ("keep", "strip"):
            url = f"{self.front.url(mode)}{_BASE}"
            feed = f"{url}/faces".replace("http", "ws", 1)
            with self.subTest(mode), Listener(f"{feed}?outcomes=all") as listener:
                files = {"image": ("one.jpg", samples.face())}
                answer = self.stack.request("POST", f"{url}/image/", files=files).json()
                self.assertEqual(answer["feed_url"], feed)
                self.assertEqual(answer["status_url"], f"{url}/image/{answer['id']}/")
                listener.wait_for([answer["id"]])
                (event,) = [each for each in listener.frames if answer["id"] in str(each)]
                self.assertTrue(event["image_url"].startswith(f"{url}/static/processed_faces/"))
                for link in (answer["status_url"], event["image_url"]):
                    self.assertEqual(self.stack.get(link).status_code, 200)
                status = self.stack.get(answer["status_url"]).json()
                for name in ("image_url", "original_url"):
                    self.assertEqual(self.stack.get(status[name]).status_code, 200)
