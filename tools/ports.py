"""Whether an address is free, and which process holds it if not."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from tools.config import Address, Place, UnixSocket
from tools.console import UserError

_TIMEOUT_S: Final = 2.0

_LISTENING: Final = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def require_free(setting: str, address: Place) -> None:
    """Raise `UserError` if nothing can listen at `address`."""
    if isinstance(address, UnixSocket):
        if connects(address):
            raise UserError(f"{address.path} is taken. Stop its program, or set {setting}.")
        return
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: connections of a moment ago that linger in the kernel do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except socket.gaierror as error:
        raise UserError(f"{setting}: there is no address {address.host!r}.") from error
    except OSError as error:
        raise UserError(_why(setting, address, error)) from error


def connects(place: Place) -> bool:
    """Whether something listens there."""
    try:
        if isinstance(place, UnixSocket):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(_TIMEOUT_S)
                client.connect(str(place.path))
        else:
            socket.create_connection((place.host, place.port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _why(setting: str, address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(address.port)
        who = f"by {holder}" if holder else "by another program"
        return f"port {address.port} is taken {who}. Stop it, or set {setting} to another."
    if error.errno == errno.EACCES:
        return f"only root may listen on port {address.port}. Set {setting} to one above 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is no address of this machine. Set {setting} to another."
    return f"nothing can listen on {address} ({error.strerror}). Set {setting} to another."


def _holder(port: int) -> str | None:
    """The process that listens on `port`, as far as this user may see it.

    Of several with the socket it is the youngest: a parent opened it for the child that uses it.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    processes = Path("/proc").glob("[0-9]*")
    for process in sorted(processes, key=lambda each: -int(each.name)):
        with suppress(OSError):
            if any(os.readlink(link) in sockets for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (process {process.name})"
    return None


def _inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
