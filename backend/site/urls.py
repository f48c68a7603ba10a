from django.conf import settings
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView

from backend.common.http.errors import read_only
from backend.site import views
from backend.site.api_docs.views import AsyncApiView, DocsView, SchemaView
from backend.site.dashboard.views import DashboardView, dashboard_numbers, dashboard_retry
from backend.site.help.views import HelpView, picture

urlpatterns: list[URLPattern | URLResolver] = [
    path("", read_only(views.HomeView.as_view()), name="home"),
    re_path(r"^people/?$", read_only(views.PeopleView.as_view()), name="people_page"),
    # Asked for by browsers on the pages that name none, as those of the admin.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}site/icon.svg")),
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^api/docs/?$", read_only(DocsView.as_view()), name="docs"),
    re_path(r"^api/asyncapi\.json$", AsyncApiView.as_view(), name="asyncapi"),
    re_path(r"^help/?$", read_only(HelpView.as_view()), name="help"),
    re_path(r"^help/pictures/(?P<name>[a-z0-9.-]+)$", read_only(picture), name="help_picture"),
    re_path(r"^help/(?P<name>[a-z0-9/-]+?)/?$", read_only(HelpView.as_view()), name="help_page"),
    re_path(r"^dashboard/?$", read_only(DashboardView.as_view()), name="dashboard"),
    re_path(r"^dashboard/numbers/?$", dashboard_numbers, name="dashboard_numbers"),
    re_path(r"^dashboard/retry/?$", dashboard_retry, name="dashboard_retry"),
]
