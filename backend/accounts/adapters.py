"""What allauth asks the project: who may sign up, where links lead, what a login notes."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from backend.accounts import encryption, links, second_factor
from backend.clients.admin_site import audit
from backend.clients.limits import logins
from backend.common.http.service_url import service_url

_UNSAID: Final = ("account/messages/logged_in.txt", "account/messages/logged_out.txt")
"""Messages that the page after it makes superfluous; those of the admin would keep them."""


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """No JSON from pages: a redirect is how a login is recognised as a success."""
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not of users who have nothing to give again: they came by an OpenID provider."""
        return bool(get_reauthentication_flows(self.request.user))

    def get_reset_password_from_key_url(self, key: str) -> str:
        return links.absolute(key)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Named after the service: the sender of the request chose the host of its own."""
        host = urlsplit(service_url()).netloc
        site = {"name": host, "domain": host}
        super().send_mail(template_prefix, email, {**context, "current_site": site})

    def set_password(self, user: Any, password: str) -> None:
        """If the password is still the one that was checked: of several requests with one link, or
        one old password, a single one sets a new one. Raises PermissionDenied in the others."""
        before = user.password
        user.set_password(password)
        if not User.objects.filter(pk=user.pk, password=before).update(password=user.password):
            raise PermissionDenied

    def post_login(self, request: HttpRequest, user: Any, **named: Any) -> HttpResponse:
        """After all factors, whichever way the user came."""
        response: HttpResponse = super().post_login(request, user, **named)
        logins.remember(request, response, user.get_username())
        if user.is_staff:
            audit(request, "log in", "admin")
        return response

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: Any = None,
        *more: Any,
        **named: Any,
    ) -> None:
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *more, **named)


class SecondFactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `encryption.SecretUnreadable`."""
        return encryption.decrypt(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the last one of staff that needs one."""
        user = authenticator.user
        others = Authenticator.objects.filter(user_id=user.pk).exclude(pk=authenticator.pk)
        others = others.exclude(type=Authenticator.Type.RECOVERY_CODES)
        return not second_factor.is_required(user) or others.exists()


class OidcAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return bool(settings.FACES_OIDC_SIGN_UP)
