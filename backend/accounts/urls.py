"""Paths of accounts. The names are allauth's, by which its views and templates find each other.

allauth's own list is not included: it has pages that are not for here (sign-up, e-mail addresses),
paths without the other ending, and no limits.
"""

from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.openid_connect import views as oidc
from django.urls import URLPattern, re_path

from backend.accounts import staff, views
from backend.accounts.views import limited, page
from backend.clients.limits.logins import FailedCodes

_KEY = r"keys/(?P<pk>[0-9]{1,18})"


def _path(path: str, view: Any, name: str) -> URLPattern:
    return re_path(rf"^accounts/{path}/?$", page(view), name=name)


def _second(path: str, view: Any, name: str) -> URLPattern:
    return _path(f"second-factor{path}", view, f"mfa_{name}")


def _recovery(path: str, view: Any, name: str) -> URLPattern:
    return _second(f"/recovery-codes{path}", view, f"{name}_recovery_codes")


urlpatterns = [
    re_path(r"^members/login/?$", page(views.login), name="member-login"),
    re_path(r"^members/logout/?$", page(views.logout), name="member-logout"),
    re_path(r"^accounts/?$", page(views.overview), name="account"),
    _path("login", views.login, "account_login"),
    _path("logout", views.logout, "account_logout"),
    _path("inactive", account.account_inactive, "account_inactive"),
    _path("invite", staff.invite, "account_invite"),
    _path("reauthenticate", limited(account.reauthenticate), "account_reauthenticate"),
    _path("password/change", limited(account.password_change), "account_change_password"),
    _path("password/set", account.password_set, "account_set_password"),
    _path("password/reset", views.password_reset, "account_reset_password"),
    _path("password/reset/done", account.password_reset_done, "account_reset_password_done"),
    _path(
        "password/reset/key/done",
        account.password_reset_from_key_done,
        "account_reset_password_from_key_done",
    ),
    _path(
        r"password/reset/key/(?P<uidb36>[0-9A-Za-z]{1,13})-(?P<key>[^/]+)",
        account.password_reset_from_key,
        "account_reset_password_from_key",
    ),
    _second("", mfa.index, "index"),
    _second("/authenticate", limited(mfa.authenticate, FailedCodes), "authenticate"),
    _second("/reauthenticate", limited(mfa.reauthenticate, FailedCodes), "reauthenticate"),
    _second("/totp/activate", totp.activate_totp, "activate_totp"),
    _second("/totp/deactivate", totp.deactivate_totp, "deactivate_totp"),
    _recovery("", recovery.view_recovery_codes, "view"),
    _recovery("/generate", recovery.generate_recovery_codes, "generate"),
    _recovery("/download", recovery.download_recovery_codes, "download"),
    _second("/passkeys", webauthn.list_webauthn, "list_webauthn"),
    _second("/passkeys/add", webauthn.add_webauthn, "add_webauthn"),
    _second(
        "/passkeys/reauthenticate",
        limited(webauthn.reauthenticate_webauthn, FailedCodes),
        "reauthenticate_webauthn",
    ),
    _second(rf"/passkeys/{_KEY}/remove", webauthn.remove_webauthn, "remove_webauthn"),
    _second(rf"/passkeys/{_KEY}/edit", webauthn.edit_webauthn, "edit_webauthn"),
    _path("connections", social.connections, "socialaccount_connections"),
    _path("connections/signup", social.signup, "socialaccount_signup"),
    _path("connections/cancelled", social.login_cancelled, "socialaccount_login_cancelled"),
    _path("connections/error", social.login_error, "socialaccount_login_error"),
    _path("(?P<provider_id>oidc)/login", oidc.login, "openid_connect_login"),
    _path("(?P<provider_id>oidc)/login/callback", oidc.callback, "openid_connect_callback"),
]
