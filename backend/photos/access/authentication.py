"""Authentication of members at the API: the session of the pages, or HTTP Basic for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, update_last_login
from django.core.cache import cache
from django.utils import timezone
from redis import RedisError
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from backend.accounts import second_factor
from backend.clients.limits import login_rate, throttling
from backend.photos.access import basic
from backend.photos.members import consent
from backend.photos.models import Member

NEEDS_SECOND_FACTOR: Final = "This account has or needs a second factor: log in on the pages."
NEEDS_TLS: Final = "Names and passwords are taken over https alone."
_verified: Final = basic.VerifiedPasswords()
_SEEN_AGAIN: Final = timedelta(days=1)
_KNOWN_S: Final = 86_400
"""So long a name is known at an address after a login there."""


class _FailedLogins(login_rate.LoginRate):
    """Of one name.

    Where a member has logged in with it from the same address, only failures of both together
    count: others behind that address, or with that name elsewhere, do not lock the member out.
    """

    def __init__(self, name: str, request: Any) -> None:
        super().__init__()
        self._name = name
        self._pair = f"{self.name_key(request)}@{throttling.address(request)}"
        self._is_known = self._find()

    def username(self, request: Request) -> str:
        return self._name

    def keys(self, request: Request) -> Iterator[str]:
        if self._is_known:
            yield f"member={self._pair}"
        else:
            yield from super().keys(request)

    def note_success(self) -> None:
        with suppress(RedisError):
            cache.set(f"{self.name}-known:{self._pair}", 1, _KNOWN_S)

    def _find(self) -> bool:
        with suppress(RedisError):
            return bool(cache.get(f"{self.name}-known:{self._pair}") == 1)
        return False


class BasicLogin(BasicAuthentication):
    """HTTP Basic (RFC 7617), throttled like the login pages; not for pages of other sites."""

    www_authenticate_realm = "Faces"

    def authenticate_credentials(
        self, userid: str, password: str, request: Any = None
    ) -> tuple[AbstractBaseUser, None]:
        if settings.ENVIRONMENT == "production" and not settings.SERVICE_URL.startswith("https:"):
            raise AuthenticationFailed(NEEDS_TLS)
        if basic.is_foreign(request):
            throttling.count_refused(request)
            raise PermissionDenied(basic.FOREIGN)
        failed = _FailedLogins(userid, request)
        if failed.is_used_up(request):
            raise Throttled(wait=failed.wait())
        user = _verified.find(userid, password)
        if user is None:
            user = self._verify(userid, password, request, failed)
        if not second_factor.password_is_enough(user):
            raise AuthenticationFailed(NEEDS_SECOND_FACTOR)
        _note_login(user)
        return user, None

    def _verify(self, userid: str, password: str, request: Any, failed: _FailedLogins) -> Any:
        if "\x00" in userid:  # PostgreSQL takes none
            raise AuthenticationFailed
        with _verified.turn(userid):  # or the first requests of a script would count as failures
            if user := _verified.find(userid, password):
                return user
            if not failed.begin(request):
                raise Throttled(wait=failed.wait())
            user = None
            try:
                user, _ = super().authenticate_credentials(userid, password, request)
            finally:
                failed.end(has_succeeded=user is not None)
            failed.note_success()
            _verified.add(user, password)
        return user

    def authenticate_header(self, request: Request) -> str | None:
        # With "Basic" a browser would open its password dialog over the page.
        if request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin":
            return "Session"
        return super().authenticate_header(request)


def _note_login(user: Any) -> None:
    """Data minimisation uses `last_login`; requests of scripts update it too."""
    if user.last_login is None or user.last_login < timezone.now() - _SEEN_AGAIN:
        update_last_login(type(user), user)


class IsMember(BasePermission):
    """A logged-in user, who also passes the view's `staff` test for the method, if it has one."""

    message = "This is for staff."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None or not request.user.is_authenticated:
            return False
        throttling.count_for_member(request.user.pk)
        staff: Mapping[str, Callable[[Any], bool]] = getattr(view, "staff", {})
        method = (request.method or "").lower()
        needed = staff.get("get" if method == "head" else method)
        return needed is None or needed(request.user)


class _OfMember(BaseThrottle):
    """Counts per member, from wherever they come; per address who is none."""

    def keys(self, request: Request) -> Iterator[str]:
        if request.user is not None and request.user.pk:
            yield f"member={request.user.pk}"
        else:
            yield f"address={throttling.address(request)}"


class Requests(_OfMember, throttling.RequestRate):
    pass


class Uploads(_OfMember, throttling.UploadRate):
    pass


class UploadBytes(_OfMember, throttling.UploadBytesRate):
    pass


class MemberView(APIView):
    """An endpoint for members. `staff` maps methods to the permission test that they need."""

    authentication_classes = (BasicLogin, SessionAuthentication)
    permission_classes = (IsMember,)
    throttle_classes: Any = (Requests,)
    staff: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}

    @property
    def user(self) -> Any:
        """The logged-in user; `IsMember` admits no other request."""
        return self.request.user

    @property
    def member(self) -> Member:
        return consent.member_of(self.user)


class UploadView(MemberView):
    """An endpoint that takes files."""

    def get_throttles(self) -> list[BaseThrottle]:
        if self.request.method == "POST":
            return [Requests(), Uploads(), UploadBytes()]
        return [Requests()]
