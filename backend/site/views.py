"""The page at `/`, on which everything can be tried."""

from backend.common.pages import Page


class HomeView(Page):
    template_name = "site/page.html"
