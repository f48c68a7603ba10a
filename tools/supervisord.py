"""Runs supervisord and ends it in order when the launcher dies.

`python -m tools.supervisord CONFIG PARENT`
"""

import os
import signal
import sys

from supervisor import loggers, supervisord

from tools import process_tree


def _reset_handlers() -> None:
    """In a child, before it becomes another program: reset the handlers of supervisor.

    They only record a signal, and the child would go on as if there had been none.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _ignore_error(handler: loggers.Handler) -> None:
    """A line that cannot be written must not keep the processes from being ended."""


if __name__ == "__main__":
    config, parent = sys.argv[1:]
    os.register_at_fork(after_in_child=_reset_handlers)
    loggers.Handler.handleError = _ignore_error
    process_tree.end_with_parent()
    # The parent may have died before the call above.
    if os.getppid() == int(parent):
        supervisord.main(["-c", config])
