"""One-time links that let their holder set the password of a user.

An invitation is such a link for a user without a password. It ends after
`PASSWORD_RESET_TIMEOUT`, and with the first password that is set or the first login: the token
(Django's, in allauth's form) is a keyed digest of the password's hash, the last login and the time.
"""

from __future__ import annotations

from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.urls import reverse

from backend.common.http.service_url import service_url, without_base_path


def to_set_password(user: Any) -> str:
    """A new link. Without a password, older links of the user end."""
    if not user.has_usable_password():
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return absolute(f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}")


def absolute(key: str) -> str:
    """The link of an allauth key, `UID-TOKEN`."""
    uid, _, token = key.partition("-")
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
    return f"{service_url()}{without_base_path(path)}"
