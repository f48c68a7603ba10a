#!/usr/bin/env python
"""Django's command line for this project."""

import gc
import os
import sys


def main() -> None:
    # What is loaded stays. The collector looks through it again and again meanwhile, for a fifth of
    # the start. `backend.common.apps` has it on again.
    gc.disable()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    # There is a worker a core. Threads of numpy's products, in each of them as many as there are
    # cores, would wait for each other: ten faces beside 10⁴ references took twice as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from django.core.management import execute_from_command_line

    from faceengine import processor

    processor.require()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
