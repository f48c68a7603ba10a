"""Login and logout: Django's views with our pages, throttled like the admin's login."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from backend.clients.limits import logins
from backend.photos.web.base import finished, refused

TOO_MANY = "Too many attempts to log in. Try again later."


class Login(views.LoginView):
    template_name = "photos/login.html"
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        return reverse("you-page")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, HttpResponse):
            finished(request, response)
        return response

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        log_in = partial(super().post, request, *args, **kwargs)
        return logins.attempt(request, log_in, partial(_too_many, request))


def _too_many(request: HttpRequest, wait_s: float) -> HttpResponse:
    return refused(request, TOO_MANY, 429, wait_s=wait_s)


class Logout(views.LogoutView):
    http_method_names = ["post", "options"]
    next_page = "member-login"
