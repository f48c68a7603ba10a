"""Feed tokens for clients that send their API key to the websocket, asked for by nginx.

The websocket server has no database, so nginx (`auth_request`) asks here before it passes the
handshake on, and adds the answer to it.
"""

from typing import Final

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from backend.clients.auth import feed_tokens
from backend.clients.auth.authentication import ApiKeyAuthentication
from backend.clients.models import Scope
from wire import feeds

_NO_SCOPE: Final = "This key lacks the scope 'read'."


def feed_token(request: HttpRequest) -> HttpResponse:
    """204 with the key's feed token in a header, or with the reason why there is none."""
    try:
        _, caller = ApiKeyAuthentication().authenticate(Request(request))
    except APIException as error:
        return _answer(feeds.REFUSAL_HEADER, str(error.detail))
    # As the calls whose answers have a `feed_url`.
    if not (caller.may(Scope.READ) or caller.may(Scope.UPLOAD)):
        return _answer(feeds.REFUSAL_HEADER, _NO_SCOPE)
    return _answer(feeds.TOKEN_HEADER, feed_tokens.token(caller))


def _answer(header: str, value: str) -> HttpResponse:
    return HttpResponse(status=204, headers={header: value, "Cache-Control": "no-store"})
