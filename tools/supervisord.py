"""Runs supervisord and ends it in order when the launcher dies.

`python -m tools.supervisord CONFIG PARENT`
"""

import os
import signal
import sys

from supervisor import loggers, supervisord

from tools import process_tree


def _forget_handlers() -> None:
    """In a child, before it becomes another program: supervisor's handlers are not its own.

    They would take note of a signal, in vain, and the child would go on as if there had been none.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _unheard(handler: loggers.Handler) -> None:
    """A line that nobody reads any more must not keep the processes from being ended."""


if __name__ == "__main__":
    config, parent = sys.argv[1:]
    os.register_at_fork(after_in_child=_forget_handlers)
    loggers.Handler.handleError = _unheard
    process_tree.end_with_parent()
    # It may have died before the kernel was told to watch it.
    if os.getppid() == int(parent):
        supervisord.main(["-c", config])
