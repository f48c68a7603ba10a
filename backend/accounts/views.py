"""The pages of accounts: allauth's views with our limits, headers and templates."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final

from allauth.account import views as library
from allauth.account.internal.stagekit import unstash_login
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from redis import RedisError

from backend.accounts import second_factor
from backend.accounts.encryption import SecretUnreadable
from backend.accounts.forms import LoginForm, StaffLoginForm
from backend.clients.limits import logins
from backend.common.http.security_headers import protect

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

TOO_MANY: Final = "Too many attempts to log in. Try again later."
_OTHER_KEY: Final = "Your second factor cannot be checked. Ask staff for help."
_FALLBACKS: Final = "neither DJANGO_SECRET_KEY nor DJANGO_SECRET_KEY_FALLBACKS has"
_NO_REDIS: Final = "A part of the service is missing for the moment. Try again in a while."


def refused(request: HttpRequest, why: str, status: int, *, wait_s: float = 5) -> HttpResponse:
    response = render(request, "accounts/refused.html", {"why": why}, status=status)
    response["Retry-After"] = str(math.ceil(wait_s))
    return response


def too_many(request: HttpRequest, wait_s: float) -> HttpResponse:
    return refused(request, TOO_MANY, 429, wait_s=wait_s)


def page(view: View) -> View:
    """The view with the headers of a page that no cache stores."""

    @wraps(view)
    def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
        try:
            response = view(request, **named)
        except RedisError:  # what marks a code as used
            response = refused(request, _NO_REDIS, 503)
        except SecretUnreadable:
            logger.error("a second factor is encrypted with a key that %s", _FALLBACKS)
            response = refused(request, _OTHER_KEY, 503)
        protect(request, response)
        response["Cache-Control"] = "private, no-store"
        return response

    return answer


def limited(view: View, rate: type[logins.FailedAttempts] = logins.FailedAttempts) -> View:
    """A form with a secret of the session's user, or of the one who is logging in.

    A response that does not redirect is a failed attempt.
    """

    @wraps(view)
    def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, **named)
        act: Any = partial(view, request, **named)
        counted = rate(_name(request))
        return logins.attempt(request, act, partial(too_many, request), counted)

    return answer


def _name(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return request.user.get_username()
    pending = unstash_login(request, peek=True)
    return pending.user.get_username() if pending and pending.user else ""


class Login(library.LoginView):
    """Of members. `username` is the name of the field in older forms, and in those of scripts."""

    form_class = LoginForm

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        if request.method in ("GET", "HEAD") and self.is_at_home():
            return redirect(self.get_success_url())
        answer: HttpResponseBase = super().dispatch(request, *args, **named)
        return answer

    def is_at_home(self) -> bool:
        """Whether there is nothing to log in for."""
        return bool(self.request.user.is_authenticated)

    def get_form_class(self) -> type[LoginForm]:
        return self.form_class

    def get_form_kwargs(self) -> dict[str, Any]:
        named: dict[str, Any] = super().get_form_kwargs()
        if "data" in named and "login" not in named["data"]:
            named["data"] = named["data"].copy()
            named["data"]["login"] = named["data"].get("username", "")
        return named

    def get_default_success_url(self) -> str:
        return reverse("you-page")

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        oidc = settings.FACES_OIDC_ISSUER and settings.FACES_OIDC_NAME
        context: dict[str, Any] = super().get_context_data(oidc=oidc, **more)
        return context

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        log_in = partial(super().post, request, *args, **named)
        return logins.attempt(request, log_in, partial(too_many, request))


class AdminLogin(Login):
    """Of staff; members who are logged in may do so by another name."""

    form_class = StaffLoginForm

    def get_default_success_url(self) -> str:
        return reverse("admin:index")

    def is_at_home(self) -> bool:
        return super().is_at_home() and self.request.user.is_staff


class Logout(LogoutView):
    http_method_names = ["post", "options"]
    next_page = "member-login"


class PasswordReset(library.PasswordResetView):
    """By e-mail, where `FACES_EMAIL_URL` names a server; else the page names the other way."""

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(
            sends_mail=bool(settings.FACES_EMAIL_URL), **more
        )
        return context

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if not settings.FACES_EMAIL_URL:
            answer: HttpResponse = self.render_to_response(self.get_context_data())
            return answer
        rate = logins.FailedAttempts(request.POST.get("email", "").lower())
        asked: Any = request
        if not rate.hit(asked):
            return too_many(request, rate.wait())
        answer = super().post(request, *args, **named)
        return answer


@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """What users can change about their own account."""
    context = {
        "has_second_factor": second_factor.is_set_up(request.user),
        "oidc": settings.FACES_OIDC_ISSUER and settings.FACES_OIDC_NAME,
        "may_invite": request.user.has_perm("auth.add_user"),
    }
    return render(request, "accounts/overview.html", context)


login = Login.as_view()
admin_login = AdminLogin.as_view()
logout = Logout.as_view()
password_reset = PasswordReset.as_view()
