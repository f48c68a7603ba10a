"""Web apps of other origins in a real browser: the listed one works, any other is kept out."""

import base64
from typing import Any, ClassVar, Final

from playwright.sync_api import Page, Request

from tests.support import samples
from tests.support.browser import BrowserCase
from tests.support.front_proxy import FrontProxy

_UPLOAD: Final = """async ([service, data, headers]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt());
    const body = new FormData();
    body.append("image", new Blob([bytes], { type: "image/jpeg" }), "one.jpg");
    const answer = await fetch(`${service}/image/`, { method: "POST", body, headers });
    const accepted = await answer.json();
    for (;;) {
        const status = await (await fetch(accepted.status_url, { headers })).json();
        if (status.status === "done") {
            const picture = await fetch(status.image_url);
            return { code: answer.status, id: answer.headers.get("X-Request-ID"),
                     location: answer.headers.get("Location"), bytes: (await picture.blob()).size };
        }
        await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
}"""
_LISTEN: Final = """(address) => new Promise((resolve) => {
    const socket = new WebSocket(address, ["json"]);
    socket.onopen = () => resolve(`open ${socket.protocol}`);
    socket.onerror = () => resolve("refused");
})"""
_FETCH: Final = """async ([url, options]) => {
    try { return (await fetch(url, options)).status; } catch { return "refused"; }
}"""


class OtherOriginTests(BrowserCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True}
    pages: ClassVar[FrontProxy]

    @classmethod
    def setUpClass(cls) -> None:
        nowhere = ("/nowhere/", "http://127.0.0.1:9")
        cls.pages = cls.enterClassContext(FrontProxy({"app": nowhere, "evil": nowhere}))
        settings = {"FACES_ALLOWED_ORIGINS": cls.pages.url("app")}
        cls.options = {"nginx": True, "settings": settings}
        super().setUpClass()

    def _on_request(self, request: Request) -> None:
        """Requests to other origins are what is tried here."""

    def page(self, name: str) -> Page:
        page = self.context().new_page()
        page.goto(f"{self.pages.url(name)}/elsewhere")
        return page

    def test_a_listed_app_uploads_reads_and_listens(self) -> None:
        page = self.page("app")
        self.expect_console("favicon.ico|/nowhere")
        data = base64.b64encode(samples.face()).decode()
        # A header of its own makes the browser ask first.
        for headers in ({}, {"X-Requested-With": "app"}):
            told = page.evaluate(_UPLOAD, [self.stack.url, data, headers])
            self.assertEqual(told["code"], 202)
            self.assertRegex(told["id"], r"^[0-9a-f]{32}$")
            self.assertTrue(told["location"].startswith(self.stack.url))
            self.assertGreater(told["bytes"], 1000)
        self.assertEqual(page.evaluate(_LISTEN, self.stack.listen_url()), "open json")
        missing = page.evaluate(_FETCH, [f"{self.stack.url}/nowhere", {}])
        self.assertEqual(missing, 404, "an error can be read too")

    def test_any_other_page_can_neither_read_nor_write_nor_listen(self) -> None:
        page = self.page("evil")
        self.expect_console("favicon.ico|CORS|ERR_FAILED|WebSocket|403")
        before = self.stack.submissions()
        attempts: list[tuple[str, dict[str, Any]]] = [
            ("/stats/", {}),
            ("/image/", {"method": "POST", "body": "x"}),
            ("/image/x/", {"method": "DELETE"}),
        ]
        for path, options in attempts:
            told = page.evaluate(_FETCH, [self.stack.url + path, options])
            self.assertEqual(told, "refused")
        data = base64.b64encode(samples.face()).decode()
        blind = """async ([service, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt());
            const body = new FormData();
            body.append("image", new Blob([bytes]), "one.jpg");
            await fetch(`${service}/image/`, { method: "POST", body, mode: "no-cors" });
        }"""
        page.evaluate(blind, [self.stack.url, data])
        self.assertEqual(self.stack.submissions(), before)
        self.assertEqual(page.evaluate(_LISTEN, self.stack.listen_url()), "refused")
