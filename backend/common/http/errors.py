"""One shape for every error: `{"field": ["…"]}` for validation, `{"detail": "…"}` otherwise.

A browser that opens a page gets 403 and 404 as HTML.
"""

import errno
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from redis import RedisError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from backend.common.http.security_headers import protect
from backend.common.storage.base import StorageError

logger = logging.getLogger(__name__)

_NO_FILES: Final = "Without files a body has at most {mib} MiB: send images as a form (multipart)."


class TooLarge(exceptions.APIException):
    status_code = 413
    default_detail = "The file is too large."
    default_code = "too_large"


class Unavailable(exceptions.APIException):
    """A part of the service is missing for the moment; the caller should try again."""

    status_code = 503
    default_detail = "The service cannot take this right now. Please try again in a moment."
    default_code = "unavailable"

    def __init__(self, detail: str | None = None, *, wait: int = 5) -> None:
        super().__init__(detail)
        self.wait = wait  # becomes the Retry-After header, in seconds


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The exception handler of REST framework; faults of our own machine become 503, not 500."""
    if isinstance(error, UnreadablePostError):
        error = exceptions.ParseError("The upload ended before it was complete.")
    elif isinstance(error, RequestDataTooBig):
        error = TooLarge(_NO_FILES.format(mib=settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20))
    elif isinstance(error, OperationalError | StorageError) or _disk_is_full(error):
        logger.error("cannot store anything: %s", error)
        error = Unavailable()
    elif isinstance(error, RedisError):
        # Reads and uploads go on without Redis; an erasure must reach every store.
        logger.error("Redis is out of reach: %s", error)
        error = Unavailable()
    return exception_handler(error, dict(context))


def _disk_is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def read_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For views outside REST framework: other methods than GET and HEAD get 405, as JSON."""

    @csrf_exempt  # else a POST without a token would get 403 as HTML
    @wraps(view)
    def answer(request: HttpRequest, **named: str) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request, **named)
        detail = f'Method "{request.method}" not allowed.'
        return JsonResponse({"detail": detail}, status=405, headers={"Allow": "GET, HEAD"})

    return answer


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    detail = "Bad request."
    if isinstance(exception, DisallowedHost):
        why = f"{request.META.get('HTTP_HOST', '')[:200]!r} is not in DJANGO_ALLOWED_HOSTS."
        detail = _explained(detail, why)
    return JsonResponse({"detail": detail}, status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token, or from a page of another site."""
    why = f"{reason} SERVICE_URL is {settings.SERVICE_URL or 'empty'}"
    if settings.SESSION_COOKIE_SECURE and not request.is_secure():
        why += ", so cookies are sent over https alone, and this request came over http"
    text = _explained("This form has expired or was sent from another site.", f"{why}.")
    if _wants_html(request):
        return _page(request, 403, "This form was not accepted", f"{text} Load its page again.")
    return HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")


def _explained(detail: str, why: str) -> str:
    """With the setting behind a refusal: always in the log, in development for the client too."""
    logger.warning("refused a request: %s", why)
    return f"{detail} {why}" if settings.ENVIRONMENT == "development" else detail


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if _wants_html(request):
        return _page(request, 403, "This page is not for you", "It needs rights that you lack.")
    return JsonResponse({"detail": "Forbidden."}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _wants_html(request):
        why = "The address may be mistyped, or what it led to was deleted."
        return _page(request, 404, "There is no such page", why)
    return JsonResponse({"detail": "Not found."}, status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"detail": "Something went wrong here; it has been logged."}, status=500)


def _wants_html(request: HttpRequest) -> bool:
    """Whether the Accept header prefers HTML to JSON, as that of browsers does for pages."""
    preferred = request.get_preferred_type(["application/json", "text/html"])
    return preferred == "text/html"


def _page(request: HttpRequest, status: int, title: str, why: str) -> HttpResponse:
    response = render(request, "site/error.html", {"title": title, "why": why}, status=status)
    protect(request, response)
    response["Cache-Control"] = "private, no-store"
    return response
