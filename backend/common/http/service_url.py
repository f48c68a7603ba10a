"""The URL that links begin with: SERVICE_URL, or the address by which the request came."""

from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


class ServiceUrlMiddleware:
    """Lets `service_url` know the request that is being answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(token)


def service_url() -> str:
    """The service's URL for the client of this request, without a slash at the end.

    Outside of a request, as in workers, it is `settings.SERVICE_URL`; the websocket servers put
    each client's own address in its place (`wsserver.delivery.broadcaster`).
    """
    request = _request.get()
    if request is None or not settings.LINKS_FOLLOW_REQUEST:
        return str(settings.SERVICE_URL)
    # Raises for a host that is not allowed.
    return f"{request.scheme}://{request.get_host()}{settings.FACES_BASE_PATH}"


def without_base_path(path: str) -> str:
    """The path below FACES_BASE_PATH, which `reverse` and `request.path` begin with."""
    base: str = settings.FACES_BASE_PATH
    return path.removeprefix(base) if base and path.startswith(f"{base}/") else path
