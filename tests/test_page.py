"""The page at `/`, in a real browser before a real service."""

from playwright.sync_api import expect

from tests.browser import DARK, PHONE, BrowserCase


class PageTests(BrowserCase):
    def test_it_greets_and_axe_finds_nothing_serious(self) -> None:
        page = self.open("/")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        self.assert_accessible(page)
        self.screenshot(page, "page-light")

    def test_it_fits_a_phone_and_is_dark_where_the_system_is(self) -> None:
        page = self.open("/", **PHONE)
        self.assert_fits(page)
        self.screenshot(page, "page-phone")
        dark = self.open("/", **DARK)
        self.assert_accessible(dark)
        self.screenshot(dark, "page-dark")
