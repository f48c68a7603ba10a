"""The header that all pages share, the documentation, and the pages of errors."""

from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.e2e.pages.test_operator_pages import OperatorCase
from tests.support.browser import DARK, PHONE
from tests.support.page_actions import log_out

_PARTS: Final = ("Faces", "People", "Photos", "API", "Help")


class HeaderTests(OperatorCase):
    def links(self, page: Page) -> Any:
        return page.get_by_role("navigation", name="Main").get_by_role("link")

    def test_every_page_has_the_same_parts_and_the_menu_of_the_account(self) -> None:
        self.expect_console("status of 404")
        page = self.logged_in("/dashboard/")
        for path in ("/", "/people/", "/api/docs/", "/members/photos/", "/accounts/", "/nothing/"):
            page.goto(path)
            expect(self.links(page)).to_have_text(list(_PARTS))
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Help").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Faces")
        page.get_by_role("navigation", name="Documentation").get_by_text("Commands").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Commands")
        self.assert_accessible(page)
        account = page.get_by_role("button", name="Account of olga")
        account.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Account", exact=True)).to_be_focused()
        self.assert_accessible(page)
        self.screenshot(page, "help", whole=False)
        page.keyboard.press("Escape")
        expect(page.get_by_role("link", name="Admin", exact=True)).to_be_hidden()
        account.click()
        page.get_by_role("link", name="Admin", exact=True).click()
        expect(page.get_by_role("navigation", name="Service").get_by_role("link")).to_have_text(
            list(_PARTS)
        )
        page.goto("/")
        log_out(page)
        expect(page.get_by_role("link", name="Log in")).to_be_visible()

    def test_a_phone_has_a_menu_button(self) -> None:
        self.expect_console("status of 404")
        page = self.open("/nothing/", **{**DARK, **PHONE})
        expect(page.get_by_role("heading")).to_have_text("There is no such page")
        expect(self.links(page)).to_have_count(0)
        page.get_by_role("button", name="Menu").tap()
        expect(self.links(page)).to_have_text(list(_PARTS))
        self.assert_accessible(page)
        self.assert_fits(page)
        self.screenshot(page, "menu-phone", whole=False)
        self.links(page).filter(has_text="Help").tap()
        page.wait_for_url("**/help/")
        self.assert_fits(page)
        self.assert_accessible(page)
