"""Who may come in: limits on connections, in all and from one address."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from websockets.datastructures import Headers

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_PROVIDERS_PREFIX: Final = 64
"""One customer commonly holds a whole IPv6 /64: its addresses count as one."""


@dataclass(frozen=True)
class Rejection:
    """Why a client may not come in now, and when to try again."""

    reason: str
    retry_after_s: int


class ConnectionLimiter:
    """Counts the clients inside. `per_address` 0 means no such limit."""

    def __init__(self, *, in_all: int, per_address: int, proxies: Sequence[Network]) -> None:
        self._in_all = in_all
        self._per_address = per_address
        self._proxies = proxies
        self._inside: dict[object, str | None] = {}
        self._of_address: Counter[str] = Counter()

    @property
    def inside(self) -> int:
        """How many are in."""
        return len(self._inside)

    def acquire(self, connection: object, peer: str, headers: Headers) -> Rejection | None:
        """Count `connection` in, or say why not."""
        if len(self._inside) >= self._in_all:
            return Rejection("Too many clients are connected.", retry_after_s=10)
        address = self._counted_address(peer, headers)
        if address is not None and 0 < self._per_address <= self._of_address[address]:
            return Rejection("Too many clients are connected from your address.", retry_after_s=30)
        self._inside[connection] = address
        if address is not None:
            self._of_address[address] += 1
        return None

    def release(self, connection: object) -> None:
        """Count `connection` out, if it was in."""
        address = self._inside.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def _counted_address(self, peer: str, headers: Headers) -> str | None:
        """What the client counts as; None for our own proxies and machines, which have no limit."""
        address = self._client_address(peer, headers)
        if address is None or self._is_ours(address):
            return None
        if address.version == 6:
            return str(ipaddress.ip_network((address, _PROVIDERS_PREFIX), strict=False))
        return str(address)

    def _client_address(self, peer: str, headers: Headers) -> Address | None:
        """The nearest address that is not ours. Only what our own proxies wrote is believed."""
        address = _parse(peer)
        for claim in _claims(headers):
            if address is None or not self._is_ours(address):
                break
            claimed = _parse(claim)
            if claimed is None:
                break
            address = claimed
        return address

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _claims(headers: Headers) -> Iterable[str]:
    """The addresses that proxies have written, nearest first."""
    forwarded = ",".join(headers.get_all("X-Forwarded-For"))
    if forwarded:
        return reversed(forwarded.split(","))
    return headers.get_all("X-Real-IP")


def _parse(text: str) -> Address | None:
    try:
        # A socket's address may end in a zone, fe80::1%eth0.
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address
