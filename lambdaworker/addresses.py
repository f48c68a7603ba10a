"""Which addresses the function connects to.

Whoever may invoke the function names what it fetches, and the service's own network may be private:
so private addresses are allowed. Never allowed is what hands out credentials or other invocations:
link-local addresses, the clouds' metadata, the runtime API. A redirect that came from a public
address may lead to public addresses only.
"""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_NEVER: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # "this network", RFC 791
        "169.254.0.0/16",  # link-local, RFC 3927: metadata of most clouds, Lambda's runtime API
        "100.100.100.200/32",  # metadata: Alibaba
        "168.63.129.16/32",  # Azure
        "fd00:ec2::/32",  # Amazon
        "fd20:ce::/32",  # Google
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, RFC 1112
        "::/128",
        "fe80::/10",  # link-local, RFC 4291
        "ff00::/8",  # multicast
    )
)

_NAT64: Final = ip_network("64:ff9b::/96")


def resolve(host: str, port: int) -> Iterator[Address]:
    """The addresses of `host`; `OSError` if it has none."""
    seen = set()
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = ip_address(str(place[0]))
        if address not in seen:
            seen.add(address)
            yield address


def may_connect(address: Address, *, only_public: bool) -> bool:
    """Whether the function may ask this address; `only_public`: a redirect led to it."""
    for each in _meant(address):
        if any(each in network for network in _NEVER):
            return False
        if only_public and (not each.is_global or each.is_multicast):
            return False
    return True


def _meant(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that some kinds of IPv6 addresses hold."""
    yield address
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0 and int(address) > 1:
            inner = IPv4Address(int(address))
        if inner is not None:
            yield inner
