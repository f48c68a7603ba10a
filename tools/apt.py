"""The few programs that come from Debian: which are missing, and how they get here."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.console import Step, UserError, say
from tools.shell import CommandFailed, run

SERVERS: Final = {"redis-server": "redis-server", "nginx": "nginx-light"}
"""Program: the package that brings it."""

FOR_TESTS: Final = {"chromium": "chromium", "curl": "curl"}
"""What the tests of the pages and of the documentation need besides."""

_NO_NETWORK: Final = ("Temporary failure resolving", "Could not resolve", "Could not connect")

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
_SYSTEM_PATHS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find(program: str) -> str | None:
    """Where `program` is, also in the folders that only root has on its PATH (nginx lies there)."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_PATHS])
    return shutil.which(program, path=path)


def missing(*, test: bool) -> list[str]:
    """The packages of what is needed and not on this machine, by the service or by its tests."""
    needed = SERVERS | FOR_TESTS if test else SERVERS
    return [package for program, package in needed.items() if find(program) is None]


def install(packages: Sequence[str], *, reason: str) -> None:
    """Install `packages`, or name the exact command that would."""
    command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise UserError(f"{reason}. Install {' and '.join(packages)}, then try again.")
    if os.geteuid() != 0:
        raise UserError(f"{reason}; only root may install that. As root:\n\n    {command}\n")
    with Step(f"Installing {', '.join(packages)} from Debian") as step:
        try:
            _apt_get(packages, step)
        except CommandFailed as error:
            raise UserError(f"{reason}; {_why_apt_failed(error)}\n\n    {command}\n") from error


def _why_apt_failed(error: CommandFailed) -> str:
    if any(sign in error.output for sign in _NO_NETWORK):
        return (
            "Debian's server of packages does not answer. Check the network (or apt's proxy "
            "settings), then try again. To see for yourself:"
        )
    return f"apt-get could not install that:\n\n{error.tail()}\n\nTo see for yourself:"


def install_compiler() -> None:
    """Get a C++ compiler if that is possible; the service runs without one, only slower."""
    if find("g++") is not None or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    try:
        install(["g++"], reason="The faster face detector needs a C++ compiler")
    except UserError:
        say("  No C++ compiler could be installed; faces are found by the slower detector.")


def _apt_get(packages: Sequence[str], step: Step) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    with _nothing_started():
        # Lists of packages that are there may be old, or for nothing: a first try without them
        # would save seconds and fail in ways that are hard to tell apart.
        run(["apt-get", "update"], step, environ=quiet)
        run(install, step, environ=quiet)
    _disable_services(packages)


@contextmanager
def _nothing_started() -> Iterator[None]:
    """Keep Debian's packages from starting system services: Faces starts its own."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _disable_services(packages: Sequence[str]) -> None:
    """Nor shall they start with the machine: they are here for Faces alone."""
    services = [p.removesuffix("-light") for p in packages if p in SERVERS.values()]
    if services and Path("/run/systemd/system").is_dir():
        try:
            run(["systemctl", "disable", *services])
        except CommandFailed:
            say(f"  {' and '.join(services)} could not be disabled as system services.")
