"""supervisord, ended in order when the launcher dies: `python -m tools.supervise CONFIG PARENT`."""

import os
import sys

from supervisor import supervisord

from tools import processes

if __name__ == "__main__":
    config, parent = sys.argv[1:]
    processes.end_with_parent()
    # It may have died before the kernel was told to watch it.
    if os.getppid() == int(parent):
        supervisord.main(["-c", config])
