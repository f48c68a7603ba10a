"""Runs supervisord and ends it in order when the launcher dies.

`python -m tools.supervisord CONFIG PARENT`
"""

import os
import signal
import sys
from typing import Final

from supervisor import loggers, poller, supervisord

from tools import config_files, process_tree, serve

_POLL_S: Final = 0.1
"""Between two looks at the processes; with supervisor's own second each end costs a second more."""


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


if __name__ == "__main__":
    file, parent = sys.argv[1:]
    os.register_at_fork(after_in_child=_reset_handlers)
    loggers.Handler.handleError = _ignore_error
    _look_often()
    process_tree.end_with_parent()
    # The parent may have died before the call above.
    if os.getppid() == int(parent):
        _listen_for_backend()
        supervisord.main(["-c", file])
