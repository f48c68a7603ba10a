"""Members at the API: by the session of the pages, or by name and password for scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, update_last_login
from django.utils import timezone
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from backend.clients.limits import throttling
from backend.photos.members import consent
from backend.photos.models import Member

NEEDS_TLS: Final = "Names and passwords are taken over https alone."
_SEEN_AGAIN: Final = timedelta(days=1)


class _FailedLogins(throttling.LoginRate):
    """Wrong passwords count, good ones do not: a script sends its own with every request."""

    def __init__(self, name: str) -> None:
        self.name_sent = name
        self.counted = 0

    def cost(self, request: Request) -> int:
        return self.counted

    def username(self, request: Request) -> str:
        return self.name_sent

    def check(self, request: Request, *, count: int) -> None:
        self.counted = count
        if not self.hit(request):
            raise Throttled(wait=self.wait())


class BasicLogin(BasicAuthentication):
    """HTTP Basic (RFC 7617), throttled as the login pages are."""

    www_authenticate_realm = "Faces"

    def authenticate_credentials(
        self, userid: str, password: str, request: Any = None
    ) -> tuple[AbstractBaseUser, None]:
        if settings.ENVIRONMENT == "production" and not settings.SERVICE_URL.startswith("https:"):
            raise AuthenticationFailed(NEEDS_TLS)
        failed = _FailedLogins(userid)
        failed.check(request, count=0)
        try:
            user, _ = super().authenticate_credentials(userid, password, request)
        except AuthenticationFailed:
            failed.check(request, count=1)
            raise
        _note_login(user)
        return user, None

    def authenticate_header(self, request: Request) -> str | None:
        # A browser would open a window of its own over the page that asked.
        if request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin":
            return "Session"
        return super().authenticate_header(request)


def _note_login(user: Any) -> None:
    """Data minimisation goes by the last login, also of who only comes by script."""
    if user.last_login is None or user.last_login < timezone.now() - _SEEN_AGAIN:
        update_last_login(type(user), user)


class IsMember(BasePermission):
    """Somebody who is logged in; where the view names a test for the method, who passes it."""

    message = "This is for staff."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None or not request.user.is_authenticated:
            return False
        staff: Mapping[str, Callable[[Any], bool]] = getattr(view, "staff", {})
        method = (request.method or "").lower()
        needed = staff.get("get" if method == "head" else method)
        return needed is None or needed(request.user)


class _OfMember(BaseThrottle):
    """Counts for the member and their address."""

    def keys(self, request: Request) -> Iterator[str]:
        yield f"address={throttling.address(request)}"
        if request.user is not None and request.user.pk:
            yield f"member={request.user.pk}"


class Requests(_OfMember, throttling.RequestRate):
    pass


class Uploads(_OfMember, throttling.UploadRate):
    pass


class UploadBytes(_OfMember, throttling.UploadBytesRate):
    pass


class MemberView(APIView):
    """An endpoint for members. `staff` names, by method, who else may be needed."""

    authentication_classes = (BasicLogin, SessionAuthentication)
    permission_classes = (IsMember,)
    throttle_classes: Any = (Requests,)
    staff: ClassVar[Mapping[str, Callable[[Any], bool]]] = {}

    @property
    def user(self) -> Any:
        """Whoever is logged in: `IsMember` lets nobody else through."""
        return self.request.user

    @property
    def member(self) -> Member:
        return consent.member_of(self.user)


class UploadView(MemberView):
    """One that takes files."""

    def get_throttles(self) -> list[BaseThrottle]:
        if self.request.method == "POST":
            return [Requests(), Uploads(), UploadBytes()]
        return [Requests()]
