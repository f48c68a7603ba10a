"""Authentication by API key or signed link, and authorization by scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from backend.clients import caller
from backend.clients.auth import cross_site, signed_urls
from backend.clients.caller import ANONYMOUS, Caller
from backend.clients.limits import throttling
from backend.clients.models import ApiKey, Scope
from backend.common.observability import logs

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads its settings, which name this module

BAD_KEY = "This API key is not valid, has expired or was revoked."
BAD_LINK = "This link has expired or was changed."
NO_KEY = "An API key is needed: send it as `Authorization: Bearer KEY` or as `X-Api-Key: KEY`."


class ApiKeyAuthentication(BaseAuthentication):
    """By API key; anonymous without one in open mode. A bad key is always refused."""

    is_embeddable: ClassVar[bool] = False
    """Whether a page of another site may show the response as an image, without reading it."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        try:
            found = _found(request)
            if found.is_anonymous:
                self._refuse_foreign(request)
        except (AuthenticationFailed, NotAuthenticated, PermissionDenied):
            throttling.count_refused(request)
            raise
        logs.client.set(str(found.client_id))
        throttling.count_for(found, request)
        return None, found

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def _refuse_foreign(self, request: Request) -> None:
        shown = self.is_embeddable and cross_site.is_embedded_image(request)
        if cross_site.is_foreign(request) and not shown:
            raise PermissionDenied(cross_site.FOREIGN)


class LinkAuthentication(ApiKeyAuthentication):
    """By a valid signed link, whatever key is sent; a bad or expired link is always refused."""

    is_embeddable = True

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        if not signed_urls.is_signed(request.GET):
            return super().authenticate(request)
        if not signed_urls.verify(request.path_info, request.GET):
            throttling.count_refused(request)
            raise PermissionDenied(BAD_LINK)
        return None, Caller(client_id=0, scopes=frozenset({Scope.READ}), by_link=True)


class HasScope(BasePermission):
    """A view's `scopes` names the scope of each method; a method without one is refused."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = (request.method or "").lower()
        if method == "options" or not hasattr(view, method):
            return True  # harmless: the answer is the allowed methods, or 405
        scopes: dict[str, str] = getattr(view, "scopes", {})
        needed = scopes.get("get" if method == "head" else method)
        self.message = f"This key lacks the scope '{needed}'."
        if needed is not None and caller.from_request(request).may(needed):
            return True
        throttling.count_refused(request, caller.from_request(request))
        return False


def _found(request: Request) -> Caller:
    key = _key(request)
    if key is not None:
        return by_key(key)
    if settings.FACES_REQUIRE_API_KEY:
        raise NotAuthenticated(NO_KEY)
    return ANONYMOUS


def by_key(key: str) -> Caller:
    """The caller with this key, read from the database each time: revocation is immediate."""
    prefix = key.partition(".")[0]
    found: Any = ApiKey.objects.filter(prefix=prefix, revoked=False).first()
    if found is None or not found.is_valid(key) or not found.is_usable(timezone.now()):
        raise AuthenticationFailed(BAD_KEY)
    return Caller(
        client_id=found.client_id,
        scopes=frozenset(found.scopes),
        key_prefix=found.prefix,
        key_expires_at=found.expiry_date,
    )


def _key(request: Request | HttpRequest) -> str | None:
    """The key that was sent, if any. Two different keys and other schemes are refused."""
    sent = []
    authorization = request.META.get("HTTP_AUTHORIZATION")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationFailed(NO_KEY)
        sent.append(key.strip())
    if "HTTP_X_API_KEY" in request.META:
        sent.append(request.META["HTTP_X_API_KEY"].strip())
    if len(set(sent)) > 1:
        raise AuthenticationFailed("Two different API keys were sent.")
    return sent[0] if sent else None
