from django.urls import URLPattern, URLResolver, path

from backend.common.errors import read_only
from backend.site import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", read_only(views.HomeView.as_view()), name="home"),
]
