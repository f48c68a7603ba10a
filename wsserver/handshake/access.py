"""Which hosts are answered, and which web pages may connect without a token."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from websockets.http11 import Request, Response

from wire.origins import OriginPolicy, is_allowed_host
from wsserver.handshake import responses

logger = logging.getLogger(__name__)

_FOREIGN: Final = "Pages of other sites need a token."


@dataclass(frozen=True)
class AccessRules:
    """The refusals by Host and Origin; None: the request may go on.

    Without them any page that a user visits could read the feed that the user's network reaches:
    with its own Origin, or with a name of its own that it lets point here (DNS rebinding).
    """

    hosts: Sequence[str]
    origins: OriginPolicy
    explains: bool

    def refusal_of_host(self, request: Request) -> Response | None:
        """The response to a Host that is none of ours."""
        host = _header(request, "Host")
        if is_allowed_host(host, self.hosts):
            return None
        return self._refuse(HTTPStatus.BAD_REQUEST, "Bad request.", host, "DJANGO_ALLOWED_HOSTS")

    def refusal_of_page(self, request: Request) -> Response | None:
        """The response to a page of another site."""
        origin = _header(request, "Origin")
        if not origin or self.origins.permits(origin, host=_header(request, "Host")):
            return None
        return self._refuse(HTTPStatus.FORBIDDEN, _FOREIGN, origin, "FACES_ALLOWED_ORIGINS")

    def _refuse(self, status: HTTPStatus, detail: str, value: str, setting: str) -> Response:
        why = f"{value[:200]!r} is not in {setting}."
        logger.warning("refused a client: %s", why)
        return responses.error(status, f"{detail} {why}" if self.explains else detail)


def _header(request: Request, name: str) -> str:
    """The header's value; several are joined, and so are no single host or origin."""
    return ",".join(request.headers.get_all(name))
