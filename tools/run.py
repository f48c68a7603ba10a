"""The whole service in the foreground: `python -m tools.run`, once it is set up.

Redis, backend, workers, websocket server and nginx run under supervisor, which restarts those that
crash. This process checks ports, folders and Redis first, reports when the service answers, and
leaves no process behind when it ends: on Ctrl-C, on SIGTERM, or when supervisor is gone.
"""

import fcntl
import http.client
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Final, NoReturn
from urllib.parse import unquote, urlsplit

from faceengine import processor
from tools import config, config_files, ports, process_tree
from tools.config import Address, Place, Stack, UnixSocket
from tools.console import Step, UserError, fail, say
from tools.shell import ROOT, CommandFailed, run
from wire import environment

_START_TIMEOUT_S: Final = 120.0
_REDIS_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.1
_WATCH_S: Final = 0.1
_MAX_CONNECTIONS: Final = 16384
_CRASHES_AT_START: Final = 3
# As supervisor reports it.
_CRASH: Final = re.compile(rb" WARN exited: (\w+) \(")
_STOP_TIMEOUT_S: Final = 2.0 * config_files.STOP_TIMEOUT_S + 10
# Before it is ready there is no work to finish, and nginx ignores signals while it starts.
_STOP_TIMEOUT_AT_START_S: Final = 2.0


class Stopped(Exception):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number: Final = number


class Supervisor:
    """The running supervisord, and what it and its processes print."""

    def __init__(self, service: Stack) -> None:
        self.crashes: Final = Counter[str]()
        file, parent = f"{service.run}/supervisord.conf", str(os.getpid())
        self.process: Final = subprocess.Popen(
            [sys.executable, "-m", "tools.supervisord", file, parent],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C on the terminal is for this process alone, which ends the others in order.
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._relay = threading.Thread(target=self._print, args=[self.process.stdout], daemon=True)
        self._relay.start()

    def check(self) -> None:
        """Raise if it has ended."""
        if self.process.poll() is not None:
            raise UserError("supervisor, which keeps the processes, has ended.")

    def check_start(self) -> None:
        """Raise if it has ended, or if a process will not start however often it is tried."""
        self.check()
        for name, times in self.crashes.items():
            if times >= _CRASHES_AT_START:
                raise UserError(f"{name} does not start; its messages are above.")

    def _print(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            if crash := _CRASH.search(line):
                self.crashes[crash[1].decode()] += 1
            # The terminal may be gone; the pipe must be read on, or the service would stand still.
            with suppress(OSError):
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()


def main() -> None:
    """Run until asked to end; the exit code is 0 if the service was ready by then."""
    began = time.monotonic()
    # Files written from here on are not readable by other users of this machine.
    os.umask(0o027)
    _on_signal(_stop)
    process_tree.adopt_orphans()
    processor.require()
    ready = False
    try:
        service = _read_settings()
        with _storage_lock(service):
            try:
                supervisor = _start(service)
                _wait_until_healthy(service, supervisor)
                ready = True
                _report_ready(service, time.monotonic() - began)
                _watch(supervisor)
            except Stopped:
                say("\nStopping; what is in hand is finished first (Ctrl-C again: at once) …")
                raise
            finally:
                _end(_STOP_TIMEOUT_S if ready else _STOP_TIMEOUT_AT_START_S)
    except Stopped as stopped:
        say("Everything has stopped.")
        raise SystemExit(0 if ready else 128 + stopped.number) from None
    except UserError as problem:
        fail(problem)
    except OSError as error:
        fail(UserError(f"{error.filename or 'a file'}: {error.strerror}."))


def _on_signal(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    _on_signal(_hurry)
    raise Stopped(number)


def _hurry(number: int, frame: FrameType | None) -> None:
    """The second Ctrl-C: end all processes at once."""
    threading.Thread(
        target=process_tree.end_children, kwargs={"patience_s": 0}, daemon=True
    ).start()


def _end(patience_s: float) -> None:
    # A signal must not interrupt this half-way.
    _on_signal(_hurry)
    process_tree.end_children(patience_s=patience_s)


def _read_settings() -> Stack:
    try:
        environment.load()
        return config.read(os.environ, environment.defaults())
    except environment.SettingsFileError as error:
        raise UserError(str(error)) from error


@contextmanager
def _storage_lock(service: Stack) -> Iterator[None]:
    """Lock the storage folder for this launcher; a second one is refused and the first named."""
    try:
        service.run.mkdir(parents=True, exist_ok=True)
        lock = _open(service.run / "lock")
    except OSError as error:
        raise UserError(
            f"the folder {service.storage} cannot be written to ({error.strerror}). "
            "Set STORAGE_DIR to a folder for the database and the images."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"it runs already in {service.storage}: {lock.read().strip()}. "
                "Stop that one first, or set STORAGE_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {service.service_url}")
        lock.flush()
        yield


def _open(path: Path) -> IO[str]:
    return open(path, "a+")


def _start(service: Stack) -> Supervisor:
    for setting, address in service.listening.items():
        ports.require_free(setting, address)
    if service.redis is None:
        _require_redis(service.redis_url)
    config_files.write(service, connections=_connections())
    with Step("Bringing the database up to date") as step:
        try:
            run([sys.executable, "-m", "tools.migrate"], step)
        except CommandFailed as error:
            _, found, reason = error.output.partition("Faces cannot go on: ")
            text = (
                reason.strip() if found else f"the database cannot be prepared:\n\n{error.tail()}"
            )
            raise UserError(text) from error
    say("• Starting Redis, backend, workers, websocket server and nginx …")
    return Supervisor(service)


def _connections() -> int:
    """As many as nginx may have open at once, the soft limit raised as far as allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 1 << 20), hard))
    return min(limit - 64, _MAX_CONNECTIONS)


def _require_redis(url: str) -> None:
    """Wait for a Redis that Faces does not start itself."""
    parts = urlsplit(url)
    deadline = time.monotonic() + _REDIS_TIMEOUT_S
    place: Place = Address(parts.hostname or "localhost", parts.port or 6379)
    if parts.scheme == "unix":
        place = UnixSocket(Path(unquote(parts.path)))
    while not ports.connects(place):
        if time.monotonic() > deadline:
            raise UserError(
                f"no Redis answers at {place}, which CACHE_BACKEND_URL names. Start it, "
                "or leave CACHE_BACKEND_URL unset: then Faces runs one of its own."
            )
        time.sleep(_POLL_S)


def _wait_until_healthy(service: Stack, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    # nginx is asked last: it logs each request that no server behind it answers yet.
    behind: tuple[Place, ...] = (service.backend.reached_at, service.ws.reached_at)
    while not (all(map(ports.connects, behind)) and _is_healthy(service)):
        supervisor.check_start()
        if time.monotonic() > deadline:
            raise UserError(
                f"http://{service.nginx.reached_at}/healthcheck did not answer within "
                f"{_START_TIMEOUT_S:.0f} s; the messages above may say why."
            )
        time.sleep(_POLL_S)


def _is_healthy(service: Stack) -> bool:
    address = service.nginx.reached_at
    connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
    try:
        connection.request("GET", "/healthcheck", headers={"Host": service.host_header})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _report_ready(service: Stack, took_s: float) -> None:
    url = service.service_url
    say(
        f"""
Faces is ready at {url} (after {took_s:.1f} s).

  try it:  curl -F image=@docs/pictures/people.jpg {url}/image/
  account: .venv/bin/python manage.py createsuperuser, then log in at {url}/members/login/
  stop:    Ctrl-C, or kill {os.getpid()}
  kept in: {service.storage}
{_about_network(service)}"""
    )


def _about_network(service: Stack) -> str:
    """What else to set where other machines reach the service; empty on this machine alone."""
    if not service.is_open_to_network:
        return ""
    environ = os.environ
    return f"""
Other machines reach port {service.nginx.port}. These settings belong together (docs/running.md):
  FACES_BIND             {environ["FACES_BIND"]}
  DJANGO_ALLOWED_HOSTS   {environ["DJANGO_ALLOWED_HOSTS"]}  (each name and address that clients use)
  SERVICE_URL            {environ["SERVICE_URL"] or "(empty: links have the host of the request)"}
  FACES_TRUSTED_PROXIES  {environ["FACES_TRUSTED_PROXIES"] or "(empty: no proxy in front)"}
  FACES_REQUIRE_API_KEY  {environ["FACES_REQUIRE_API_KEY"]}
"""


def _watch(supervisor: Supervisor) -> NoReturn:
    """Until a signal comes, end processes that a crashed parent left behind."""
    while True:
        time.sleep(_WATCH_S)
        supervisor.check()
        for pid in process_tree.children() - {supervisor.process.pid}:
            # nginx's workers, whose master was killed, finish the requests that they have.
            number = signal.SIGQUIT if process_tree.name(pid) == "nginx" else signal.SIGTERM
            with suppress(ProcessLookupError):
                os.kill(pid, number)


if __name__ == "__main__":
    main()
