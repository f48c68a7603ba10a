"""Runs supervisord and ends it in order when the launcher dies.

`python -m tools.supervisord CONFIG PARENT`
"""

import os
import signal
import socket
import sys
from typing import Final

from supervisor import events, loggers, options, poller, supervisord

from tools import config, config_files, process_tree, serve
from tools.config import Address, Stack
from wire import environment

_POLL_S: Final = 0.1
"""Between two looks at the processes; with supervisor's own second each end costs a second more."""


_BACKLOG: Final = 511
"""nginx's own."""


def _reset_handlers() -> None:
    """In a child, before it becomes another program: reset the handlers of supervisor.

    They only record a signal, and the child would go on as if there had been none.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _ignore_error(handler: loggers.Handler) -> None:
    """A line that cannot be written must not keep the processes from being ended."""


def _look_often() -> None:
    """Let supervisor wait for no longer than `_POLL_S`, whatever it asks for."""
    poll = poller.Poller.poll
    poller.Poller.poll = lambda self, timeout: poll(self, min(timeout, _POLL_S))


def _listen_for_backend() -> None:
    """Open the backend's socket here, so that connections wait while the backend is restarted.

    Supervisor closes the lower descriptors in its children (`minfds`); this one reaches them.
    """
    listening = serve.listen()
    os.dup2(listening, config_files.BACKEND_FD, inheritable=True)
    os.close(listening)
    os.environ.update(FACES_LISTEN_FD=str(config_files.BACKEND_FD))


def _listen_for_nginx(stack: Stack) -> None:
    """Open nginx's sockets here, so that connections wait while nginx is restarted.

    No other process inherits them. They are closed before the processes are stopped: from then on
    clients are refused.
    """
    fds = config_files.nginx_fds(stack)
    for address, fd in zip(stack.nginx_listen, fds, strict=True):
        with _listening(address) as listening:
            os.dup2(listening.fileno(), fd, inheritable=False)
    _hand_over_to_nginx(fds)
    _close_when_stopping(fds)


def _hand_over_to_nginx(fds: list[int]) -> None:
    """Let the one process inherit `fds` whose environment names them."""
    named, execve = config_files.nginx_sockets(fds), options.ServerOptions.execve

    def hand_over_and_execve(
        self: object, program: str, arguments: list[str], environ: dict[str, str]
    ) -> None:
        if environ.get(config_files.NGINX_SOCKETS) == named:
            for fd in fds:
                os.set_inheritable(fd, True)
        execve(self, program, arguments, environ)

    options.ServerOptions.execve = hand_over_and_execve


def _close_when_stopping(fds: list[int]) -> None:
    notify = events.notify

    def close_and_notify(event: object) -> None:
        if isinstance(event, events.SupervisorStoppingEvent):
            for fd in fds:
                os.close(fd)
        notify(event)

    events.notify = close_and_notify


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.create_server(
        (address.host, address.port),
        family=family,
        backlog=_BACKLOG,
        dualstack_ipv6=address.host == "::",
    )
    # nginx takes it as it is.
    listening.setblocking(False)
    return listening


if __name__ == "__main__":
    file, parent = sys.argv[1:]
    os.register_at_fork(after_in_child=_reset_handlers)
    loggers.Handler.handleError = _ignore_error
    _look_often()
    process_tree.end_with_parent()
    # The parent may have died before the call above.
    if os.getppid() == int(parent):
        _listen_for_backend()
        _listen_for_nginx(config.read(os.environ, environment.defaults()))
        supervisord.main(["-c", file])
