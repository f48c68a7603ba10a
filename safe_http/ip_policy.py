"""Address policy: which IP addresses a request may connect to.

The tables are the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890, 8190), and
the clouds' metadata addresses. They are written out because `ipaddress.is_global` is true for
multicast, 64:ff9b::7f00:1 (NAT64 for 127.0.0.1), 2002:7f00:1:: (6to4) and ::127.0.0.1, and changes
with the version of Python.
"""

from collections.abc import Iterable
from enum import Enum, auto
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address


class Reach(Enum):
    """The network that an address belongs to."""

    PUBLIC = auto()
    LOCAL = auto()  # this machine or a private network: for hosts that the policy names
    NEVER = auto()  # nothing that an image comes from


def _networks(*blocks: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(block) for block in blocks)


_METADATA: Final = _networks(
    # A cloud's metadata service returns the machine's credentials to every caller. Most are at
    # 169.254.169.254, which is link-local; these are among private, shared and public addresses.
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure
    "fd00:ec2::/32",  # Amazon
    "fd20:ce::/32",  # Google
)

_LOCAL: Final = _networks(
    "10.0.0.0/8",  # private, RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # shared by carriers (CGNAT), RFC 6598; private networks over the internet too
    "127.0.0.0/8",  # loopback, RFC 1122
    "::1/128",  # loopback, RFC 4291
    "fc00::/7",  # unique local, RFC 4193
)

_PUBLIC: Final = _networks(
    "0.0.0.0/0",
    # All that IANA has given out for hosts. Outside lie ::/8 with IPv4-compatible and -mapped
    # addresses, 64:ff9b:1::/48 (NAT64 of one network, RFC 8215), 100::/64 (discard),
    # 5f00::/16 (segment routing), fe80::/10, fec0::/10 and ff00::/8.
    "2000::/3",
)

_NEVER: Final = _networks(
    "0.0.0.0/8",  # "this network", RFC 791; Linux takes 0.0.0.0 for itself
    "169.254.0.0/16",  # link-local, RFC 3927
    "192.0.0.0/24",  # protocol assignments, RFC 6890
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.31.196.0/24",  # AS112, RFC 7535
    "192.52.193.0/24",  # AMT, RFC 7450
    "192.88.99.0/24",  # relays of 6to4, RFC 7526
    "192.175.48.0/24",  # AS112, RFC 7534
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, RFC 1112; broadcast
    "2001::/23",  # protocol assignments, RFC 2928: Teredo (RFC 4380), ORCHID, benchmarks
    "2001:db8::/32",  # documentation, RFC 3849
    "2002::/16",  # 6to4, an IPv4 address inside, RFC 3056
    "2620:4f:8000::/48",  # AS112, RFC 7534
    "3ffe::/16",  # returned by the 6bone, RFC 3701
    "3fff::/20",  # documentation, RFC 9637
)

_NAT64: Final = ip_network("64:ff9b::/96")
"""An IPv4 address inside (RFC 6052): DNS64 makes one of every name that has only IPv4."""

_ISATAP: Final = frozenset((0x00005EFE, 0x02005EFE))
"""Second-lowest 32 bits of an IPv6 address with an IPv4 address inside (RFC 5214, 6.1)."""


def reach(address: Address) -> Reach:
    """The reach of `address`."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return Reach.NEVER
    if isinstance(address, IPv6Address) and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
        return Reach.PUBLIC if reach(inner) is Reach.PUBLIC else Reach.NEVER
    if _within(address, _METADATA):
        return Reach.NEVER
    if _within(address, _LOCAL):
        return Reach.LOCAL
    if _within(address, _NEVER) or _is_isatap(address) or not _within(address, _PUBLIC):
        return Reach.NEVER
    return Reach.PUBLIC


def may_connect(address: Address, *, allow_private: bool) -> bool:
    """Whether `address` may be connected to; `allow_private`: also if it is not public."""
    permitted = (Reach.PUBLIC, Reach.LOCAL) if allow_private else (Reach.PUBLIC,)
    return reach(address) in permitted


def _within(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _is_isatap(address: Address) -> bool:
    return isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
