"""Requests that a web page of another site makes its visitor's browser send.

Without a key such a page would act as the visitor: the service is reachable from the visitor's
network only, and in open mode answers all who reach it.
"""

from typing import Final

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from wire.origins import OriginPolicy, parse_origin

FOREIGN: Final = (
    "This request comes from a page of another site. Send an API key, or list the page's origin in "
    "FACES_ALLOWED_ORIGINS."
)


def policy() -> OriginPolicy:
    """The allowed origins, the one of `SERVICE_URL` among them."""
    own = parse_origin("/".join(settings.SERVICE_URL.split("/")[:3]))
    return OriginPolicy(frozenset([*settings.FACES_ALLOWED_ORIGINS, own]))


def is_foreign(request: Request | HttpRequest) -> bool:
    """Whether a page of another site caused the request; not for programs, which say nothing.

    Links that a user follows are not foreign. Sec-Fetch-Site cannot be set by pages.
    """
    site = request.META.get("HTTP_SEC_FETCH_SITE")
    origin = request.META.get("HTTP_ORIGIN")
    if site == "same-origin":
        return False
    if origin is not None:
        return not policy().permits(origin, host=request.get_host())
    followed = request.META.get("HTTP_SEC_FETCH_MODE") == "navigate"
    is_safe = request.method in ("GET", "HEAD", "OPTIONS")
    return site in ("cross-site", "same-site") and not (followed and is_safe)


def is_embedded_image(request: Request | HttpRequest) -> bool:
    """Whether a page shows the image without being able to read it."""
    is_image = request.META.get("HTTP_SEC_FETCH_DEST") == "image"
    return is_image and "HTTP_ORIGIN" not in request.META
