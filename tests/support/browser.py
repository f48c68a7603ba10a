"""Tests in a real browser: Debian's Chromium, driven by Playwright, before a whole service.

    class PageTests(BrowserCase):
        def test_it_greets(self) -> None:
            page = self.open("/")
            expect(page.get_by_role("heading", level=1)).to_be_visible()

One browser and one `Stack` for a class, or for those that share them; each page has a context of
its own, so that nothing stored or cached by one test is known to the next. A test fails by itself
when a page of its reports an error on the console (a violation of the Content-Security-Policy is
one), throws, or asks for anything at another origin. What is meant to go wrong is named by
`expect_console`.

Playwright keeps an event loop in the thread while its browser lives, and Django's ORM refuses to
work there: look at rows by `self.stack.query`.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from tests.support.stack_case import StackCase
from tools import apt
from wire import environment

SCREENSHOTS: Final = environment.ROOT / ".cache" / "screenshots"

FLAGS: Final = (
    "--no-sandbox",  # the tests may run as root, and the pages are our own
    "--disable-dev-shm-usage",  # in a container /dev/shm is small
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DESKTOP: Final = {"viewport": {"width": 1280, "height": 900}}
PHONE: Final = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
DARK: Final = {**DESKTOP, "color_scheme": "dark"}
CALM: Final = {**DESKTOP, "reduced_motion": "reduce"}

# Only a test that fails waits so long: also a busy machine is to be done by then.
_TIMEOUT_S: Final = 180.0
_SERIOUS: Final = ("serious", "critical")
_END_TRANSITIONS: Final = """() => document.getAnimations()
    .filter((each) => each instanceof CSSTransition).forEach((each) => each.finish())"""
# Not awaited: one that the browser does not draw never ends by itself.

expect.set_options(timeout=_TIMEOUT_S * 1000)


def launch(playwright: Playwright, *more: str) -> Browser:
    """Debian's Chromium, headless; `more` are further flags."""
    program = apt.find("chromium")
    if program is None:
        raise RuntimeError("no Chromium: as root, apt-get install chromium")
    return playwright.chromium.launch(executable_path=program, headless=True, args=[*FLAGS, *more])


def _folder() -> Path:
    """`SCREENSHOTS`, or one that may be written to: in the image the checkout is root's."""
    for folder in (SCREENSHOTS, Path(tempfile.gettempdir(), "faces-screenshots")):
        with suppress(PermissionError):
            folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    raise PermissionError(f"neither {SCREENSHOTS} nor the temporary folder can be written to")


class BrowserCase(StackCase):
    """A service behind nginx and a browser before it, both for all tests of the class."""

    options: ClassVar[dict[str, Any]] = {"nginx": True}
    flags: ClassVar[Sequence[str]] = ()
    browser: ClassVar[Browser]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        playwright = cls.shared("playwright", sync_playwright)
        cls.browser = cls.shared("browser", lambda: closing(launch(playwright, *cls.flags)))

    def setUp(self) -> None:
        super().setUp()
        self._complaints: list[str] = []
        self._expected: list[str] = []
        self._strangers: list[str] = []
        self._allowed: tuple[str, ...] = ()
        # Registered first and so run last, when the pages have had their say.
        self.addCleanup(self.assert_no_complaints)

    # --- pages

    def context(self, **options: Any) -> BrowserContext:
        """A browser profile of its own until the test ends; `options` as in `PHONE` or `DARK`."""
        context = self.browser.new_context(base_url=self.stack.url, **{**DESKTOP, **options})
        self.addCleanup(context.close)
        self.addCleanup(self._keep_what_failed, context)
        context.set_default_timeout(_TIMEOUT_S * 1000)
        context.on("page", self._watch)
        return context

    def open(self, path: str = "/", **options: Any) -> Page:
        """A page in a new profile, loaded."""
        page = self.context(**options).new_page()
        page.goto(path)
        return page

    def screenshot(self, page: Page, name: str, *, whole: bool = True) -> Path:
        """Keep a picture of the page among the artefacts of the run, to be looked at."""
        path = _folder() / f"{name}.png"
        page.screenshot(path=path, full_page=whole, animations="disabled")
        return path

    # --- what pages must not do

    def expect_console(self, pattern: str) -> None:
        """Messages of the console that match `pattern` are no errors in this test."""
        self._expected.append(pattern)

    def allow(self, *urls: str) -> None:
        """Requests for what begins with one of `urls` are no errors in this test."""
        self._allowed += urls

    def assert_accessible(self, page: Page) -> None:
        """axe finds nothing serious or critical on the page as it is now, its transitions ended."""
        page.evaluate(_END_TRANSITIONS)
        found = Axe().run(page).response["violations"]
        worst = [
            f"{each['id']} ({each['impact']}): {each['help']}: {node['html'][:160]}"
            for each in found
            if each["impact"] in _SERIOUS
            for node in each["nodes"]
        ]
        self.assertEqual(worst, [])

    def assert_fits(self, page: Page) -> None:
        """Nothing has to be scrolled sideways."""
        assert page.viewport_size is not None
        # Not innerWidth: where a page is too wide, a phone shows it smaller and says it were wider.
        wide_px = page.evaluate("document.documentElement.scrollWidth")
        self.assertLessEqual(wide_px, page.viewport_size["width"])

    def assert_no_complaints(self) -> None:
        """No page of this test has reported an error, or asked for anything elsewhere."""
        unexpected = [
            text
            for text in self._complaints
            if not any(re.search(pattern, text) for pattern in self._expected)
        ]
        self.assertEqual(unexpected, [])
        self.assertEqual(self._strangers, [])

    def _watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complaints.append(f"thrown: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        ours = urlsplit(self.stack.url).netloc
        if request.url.startswith(self._allowed):
            return
        if url.scheme not in ("blob", "data") and url.netloc != ours:
            self._strangers.append(request.url)

    def _keep_what_failed(self, context: BrowserContext) -> None:
        outcome = getattr(self, "_outcome", None)  # unittest has no public way before the end
        if outcome is not None and not outcome.success:
            for number, page in enumerate(context.pages):
                self.screenshot(page, f"failed-{self._testMethodName}-{number}", whole=False)
