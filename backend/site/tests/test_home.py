"""The page at `/` as it is served; what it does is `tests/e2e/pages/test_page.py`'s."""

import re

from django.test import SimpleTestCase, override_settings

from backend.site import views
from wire.environment import ROOT

_STATIC = ROOT / "static" / "site"


class HomeTests(SimpleTestCase):
    # A request that could change something waits for the database first.
    databases = {"default"}

    def test_its_policy_allows_nothing_from_elsewhere_and_nothing_inline(self) -> None:
        answer = self.client.get("/", headers={"host": "localhost:8282"})
        self.assertEqual(answer.status_code, 200)
        policy = answer.headers["Content-Security-Policy"]
        self.assertEqual(re.findall(r"unsafe|https?:|\*", policy), [])
        self.assertIn("connect-src 'self' ws://localhost:8282 wss://localhost:8282;", policy)
        for inline in ("<style", " style=", "onclick=", "javascript:"):
            self.assertNotIn(inline, answer.text)
        self.assertEqual(re.findall(r"<script(?![^>]* src=)", answer.text), [])

    def test_other_methods_are_refused_in_our_shape(self) -> None:
        answer = self.client.post("/")
        self.assertEqual((answer.status_code, answer.headers["Allow"]), (405, "GET, HEAD"))
        self.assertEqual(answer.json(), {"detail": 'Method "POST" not allowed.'})

    def test_where_keys_are_needed_it_opens_without_one_and_asks(self) -> None:
        self.assertNotContains(self.client.get("/"), "data-closed")
        with override_settings(FACES_REQUIRE_API_KEY=True):
            answer = self.client.get("/")
        self.assertContains(answer, "data-closed")
        self.assertContains(answer, "X-Api-Key: $KEY")

    def test_each_module_is_asked_for_at_once(self) -> None:
        files = {path.stem for path in (_STATIC / "page").glob("*.js")}
        self.assertEqual(set(views.MODULES) | {"main"}, files)


class PeopleTests(SimpleTestCase):
    databases = {"default"}

    def test_its_policy_is_that_of_the_page(self) -> None:
        here, there = self.client.get("/people/"), self.client.get("/")
        name = "Content-Security-Policy"
        self.assertEqual((here.status_code, here.headers[name]), (200, there.headers[name]))
        for inline in ("<style", " style=", "onclick=", "javascript:"):
            self.assertNotIn(inline, here.text)
        self.assertEqual(re.findall(r"<script(?![^>]* src=)", here.text), [])
        self.assertEqual(self.client.post("/people").status_code, 405)

    def test_it_says_what_is_kept(self) -> None:
        self.assertContains(self.client.get("/people"), "with a small picture of each")
        with override_settings(FACES_KEEP_CROPS=False, FACES_RETENTION_DAYS=1):
            answer = self.client.get("/people/")
        self.assertNotContains(answer, "with a small picture")
        self.assertContains(answer, "the photos are kept for 1 day.")

    def test_each_module_that_is_imported_is_asked_for_at_once(self) -> None:
        imported = set()
        for path in [*(_STATIC / "people").glob("*.js")]:
            for name in re.findall(r'from "(\.[^"]+)"', path.read_text()):
                file = (path.parent / name).resolve().relative_to(_STATIC)
                imported.add(str(file.with_suffix("")))
        self.assertLessEqual(imported, set(views.PEOPLE_MODULES))
        self.assertEqual(
            {name for name in views.PEOPLE_MODULES if "people/" in name},
            {name for name in imported if "people/" in name},
        )
