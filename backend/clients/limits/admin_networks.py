"""`FACES_ADMIN_NETWORKS`: the networks from which the admin and the dashboard are reached."""

import ipaddress
import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from backend.common.http.errors import permission_denied

logger = logging.getLogger(__name__)

_PATHS: Final = ("admin", "dashboard")


class AdminNetworksMiddleware:
    """403 for the paths of staff from elsewhere, before a session or password is looked at."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        first = request.path_info.lstrip("/").partition("/")[0]
        if first not in _PATHS or not settings.FACES_ADMIN_NETWORKS or _is_inside(request):
            return self.get_response(request)
        logger.warning("refused a request: the address is not in FACES_ADMIN_NETWORKS")
        return permission_denied(request)


def _is_inside(request: HttpRequest) -> bool:
    """Whether the caller's address, as nginx names it, is in one of the networks."""
    text = request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in settings.FACES_ADMIN_NETWORKS)
