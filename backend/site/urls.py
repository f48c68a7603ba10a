from django.urls import URLPattern, URLResolver, path, re_path

from backend.common.errors import read_only
from backend.site import views
from backend.site.api_pages import DocsView, SchemaView, asyncapi

urlpatterns: list[URLPattern | URLResolver] = [
    path("", read_only(views.HomeView.as_view()), name="home"),
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^api/docs/?$", read_only(DocsView.as_view()), name="docs"),
    re_path(r"^api/asyncapi\.json$", asyncapi, name="asyncapi"),
]
