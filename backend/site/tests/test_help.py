"""The documentation at `/help/`, and the pages of errors."""

import re
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.test import SimpleTestCase, TestCase

from backend.site.help import pages

_BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class HelpTests(SimpleTestCase):
    def test_every_page_of_the_documentation_is_served_with_nothing_inline(self) -> None:
        files = {str(each.relative_to(pages.DOCS)) for each in pages.DOCS.rglob("*.md")}
        self.assertEqual({f"{name}.md" for name in pages.titles()}, files)
        for name in pages.titles():
            answer = self.client.get(pages.address(name))
            self.assertEqual(answer.status_code, 200, name)
            self.assertEqual(re.findall(r" style=|<script(?![^>]* src=)| on\w+=", answer.text), [])
        self.assertNotIn("unsafe", answer.headers["Content-Security-Policy"])

    def test_every_link_between_pages_leads_to_a_page_and_its_heading(self) -> None:
        html = {name: _page(name).html for name in pages.titles()}
        by_address = {pages.address(name): name for name in html}
        for name, text in html.items():
            for link in re.findall(r'href="([^":]+)"', text):
                there = urlsplit(link)
                target = by_address[there.path] if there.path else name
                if there.fragment:
                    self.assertIn(f'id="{there.fragment}"', html[target], f"{name}: {link}")

    def test_pictures_of_pages_are_served_and_no_other_file(self) -> None:
        for name in pages.titles():
            for picture in re.findall(r'src="([^"]+)"', _page(name).html):
                answer = self.client.get(picture)
                self.assertEqual(answer.status_code, 200, picture)
                self.assertTrue(answer.headers["Content-Type"].startswith("image/"))
        for path in ("/help/pictures/draw_people.py", "/help/pictures/..", "/help/pictures/x.png"):
            self.assertEqual(self.client.get(path).status_code, 404)

    def test_what_is_no_page_is_not_found(self) -> None:
        for path in ("/help/nothing", "/help/../README/", "/help/decisions/", "/help/pictures/"):
            self.assertEqual(self.client.get(path).status_code, 404)


def _page(name: str) -> pages.HelpPage:
    found = pages.page(name)
    assert found is not None
    return found


class ErrorPageTests(TestCase):
    def test_a_browser_gets_a_page_and_a_program_json(self) -> None:
        page = self.client.get("/nothing/", headers=_BROWSER)
        self.assertContains(page, "There is no such page", status_code=404)
        self.assertIn("default-src 'self'", page.headers["Content-Security-Policy"])
        for accepted in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
            answer = self.client.get("/nothing/", headers=accepted)
            self.assertEqual((answer.status_code, answer.json()), (404, {"detail": "Not found."}))

    def test_a_page_that_is_not_for_the_user_says_so(self) -> None:
        self.client.force_login(User.objects.create_user("alice"))
        page = self.client.get("/dashboard/", headers=_BROWSER)
        self.assertContains(page, "This page is not for you", status_code=403)
        self.assertEqual(self.client.get("/dashboard/").json(), {"detail": "Forbidden."})
