"""Limits on the number of connections: in total, of one client, and from one address."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from websockets.datastructures import Headers

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_PREFIX: Final = 64
"""One customer commonly has a whole IPv6 /64: its addresses count as one."""


_OF_ADDRESS: Final = "Too many clients are connected from your address."
_OF_CLIENT: Final = "Too many connections of your client."


@dataclass(frozen=True)
class Rejection:
    """Why a client may not connect now, and when it may try again."""

    reason: str
    retry_after_s: int


class ConnectionLimiter:
    """Counts connections: those with a token for their client, others for their address.

    `per_address` or `per_client` 0: no such limit.
    """

    def __init__(
        self, *, total: int, per_address: int, per_client: int, proxies: Sequence[Network]
    ) -> None:
        self._total = total
        self._per_address = per_address
        self._per_client = per_client
        self._proxies = proxies
        self._connections: dict[object, str | None] = {}
        self._count: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """The number of connections."""
        return len(self._connections)

    def acquire(
        self, connection: object, peer: str, headers: Headers, *, client: str | None = None
    ) -> Rejection | None:
        """Count `connection`, or return why it exceeds a limit.

        `client` is the owner in a valid token. Other clients may share its address.
        """
        if len(self._connections) >= self._total:
            return Rejection("Too many clients are connected.", retry_after_s=10)
        if client is not None:
            who: str | None = f"client {client}"
            limit, reason = self._per_client, _OF_CLIENT
        else:
            who = self._counted_address(peer, headers)
            limit, reason = self._per_address, _OF_ADDRESS
        if who is not None and 0 < limit <= self._count[who]:
            return Rejection(reason, retry_after_s=30)
        self._connections[connection] = who
        if who is not None:
            self._count[who] += 1
        return None

    def release(self, connection: object) -> None:
        """Count `connection` no more, if it was counted."""
        who = self._connections.pop(connection, None)
        if who is not None:
            self._count[who] -= 1
            if not self._count[who]:
                del self._count[who]

    def _counted_address(self, peer: str, headers: Headers) -> str | None:
        """The address to count; None for a trusted proxy that names no client."""
        address = self._client_address(peer, headers)
        if address is None or (self._is_trusted(address) and not _is_forwarded(headers)):
            return None
        if address.version == 6:
            return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
        return str(address)

    def _client_address(self, peer: str, headers: Headers) -> Address | None:
        """The nearest untrusted address: a header counts only if a trusted proxy wrote it."""
        address = _parse(peer)
        for text in _forwarded_addresses(headers):
            if address is None or not self._is_trusted(address):
                break
            forwarded_address = _parse(text)
            if forwarded_address is None:
                break
            address = forwarded_address
        return address

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _is_forwarded(headers: Headers) -> bool:
    return _parse(next(iter(_forwarded_addresses(headers)), "")) is not None


def _forwarded_addresses(headers: Headers) -> Iterable[str]:
    """The addresses in the proxies' headers, nearest first."""
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
