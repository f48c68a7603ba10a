"""Where clients reach the service: its URL, and the path below which a proxy puts it."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from wire.origins import parse_origin
from wire.settings import Reader

_PATH: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


@dataclass(frozen=True)
class ServiceAddress:
    """`url` begins every link: SERVICE_URL, or this machine's own address without it."""

    url: str
    base_path: str
    """For example `/faces-app`; empty: the service has a host of its own. `url` ends with it."""

    follows_request: bool
    """Whether SERVICE_URL is empty: then links have the scheme and host of the request."""

    @property
    def origin(self) -> str:
        """The origin of the service's own pages."""
        return parse_origin("/".join(self.url.split("/")[:3]))

    @property
    def host(self) -> str:
        """The host name in `url`, IPv6 in brackets."""
        name = urlsplit(self.url).hostname or ""
        return f"[{name}]" if ":" in name else name


def read(settings: Reader) -> ServiceAddress:
    """The address by SERVICE_URL, FACES_BASE_PATH and FACES_PORT.

    The path may be in either of the first two; `nginx/settings.sh` reads them alike.
    """
    given = settings.text("SERVICE_URL")
    url = settings.url("SERVICE_URL", schemes=("http", "https")) if given else ""
    base_path = settings.text("FACES_BASE_PATH").strip("/")
    base_path = f"/{base_path}" if base_path else ""
    below = urlsplit(url).path
    if _PATH.fullmatch(base_path or below) is None or urlsplit(url).query:
        name, value = ("FACES_BASE_PATH", base_path) if base_path else ("SERVICE_URL", url)
        raise settings.error(f"{name} must have a path like /faces-app, not {value!r}")
    if base_path and below and base_path != below:
        raise settings.error(f"FACES_BASE_PATH is {base_path}, the path of SERVICE_URL {below}")
    if base_path and not below:
        url = url and url + base_path
    base_path = base_path or below
    port = settings.number("FACES_PORT", at_least=1)
    url = url or f"http://localhost:{port}{base_path}"
    address = ServiceAddress(url, base_path, follows_request=not given)
    try:
        parse_origin(address.origin)
    except ValueError as error:
        raise settings.error(f"SERVICE_URL: {error}") from None
    return address
