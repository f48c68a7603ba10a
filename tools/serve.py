"""The backend: gunicorn under a parent that has Django loaded and holds the socket.

When gunicorn is killed, the parent forks the next one, which has little to load: a fresh
interpreter needs a second of the processor, and a container that ended is started again after a
pause. Connections wait in the socket meanwhile.
"""

import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import Final

from tools import config, process_tree
from tools.config import Address, UnixSocket
from wire import environment, sockets

logger = logging.getLogger(__name__)

_APPLICATION: Final = "backend.wsgi"
_BACKLOG: Final = 2048

_PAUSE_S: Final = 1.0
"""Between two starts: a gunicorn that is killed at once must not be forked in a loop."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def listen() -> int:
    """Open the backend's socket; its descriptor, which children inherit."""
    place = config.backend_place(os.environ)
    if isinstance(place, UnixSocket):
        listening = sockets.listen(place.path, backlog=_BACKLOG)
    else:
        listening = _on_port(place)
    listening.set_inheritable(True)
    return listening.detach()


def _on_port(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    where = (address.host, address.port)
    return socket.create_server(where, family=family, backlog=_BACKLOG)


class Keeper:
    """Keeps one gunicorn running, however often it is killed, until a signal asks to end."""

    def __init__(self) -> None:
        self._is_stopping = False
        self._gunicorn = 0

    def run(self) -> int:
        """Returns the exit code of one that ended by itself: it cannot start, or was asked to."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        while True:
            started_at = time.monotonic()
            self._start()
            code = self._wait()
            if self._is_stopping or code >= 0:
                return max(code, 0)
            logger.error("gunicorn was killed by signal %d, another takes over", -code)
            self._pause(started_at + _PAUSE_S)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._is_stopping = True
        if self._gunicorn:
            os.kill(self._gunicorn, number)

    def _start(self) -> None:
        # A signal waits until it is known which process it is for.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if (child := os.fork()) == 0:
            _serve()
        self._gunicorn = child
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _wait(self) -> int:
        """The exit code of gunicorn; orphans of a container end here too."""
        while True:
            ended, status = os.wait()
            if ended == self._gunicorn:
                self._gunicorn = 0
                return os.waitstatus_to_exitcode(status)

    def _pause(self, until: float) -> None:
        while time.monotonic() < until and not self._is_stopping:
            time.sleep(0.02)


def _serve() -> None:
    """Become gunicorn: does not return."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    process_tree.end_with_parent()
    process_tree.rename(f"gunicorn {_APPLICATION}")
    sys.argv = ["gunicorn", "-c", "tools/gunicorn_conf.py", _APPLICATION]
    importlib.import_module("gunicorn.app.wsgiapp").run()
    raise SystemExit(0)


def main() -> None:
    """Serve until SIGTERM; then gunicorn finishes its requests."""
    # What is loaded stays; `backend.common.apps` has the collector on again.
    gc.disable()
    environment.load()
    # Under supervisord the socket is its own.
    if not os.environ.get("FACES_LISTEN_FD"):
        os.environ.update(FACES_LISTEN_FD=str(listen()))
    # The views too, which Django would load with the first request, in each process for itself.
    for name in (_APPLICATION, "backend.urls", "gunicorn.app.wsgiapp", "gunicorn.workers.gthread"):
        importlib.import_module(name)
    # What is there now stays: a fork whose collector looked at it would copy all its memory.
    gc.collect()
    gc.freeze()
    raise SystemExit(Keeper().run())


if __name__ == "__main__":
    main()
