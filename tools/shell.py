"""Running another program for a step: its output goes to a log, its progress to the terminal."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.console import Step, UserError

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout."""

_TAIL_LINES: Final = 15


class CommandFailed(Exception):
    """A command ended with another code than 0; `output` is what it printed."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"{' '.join(command)} ended with code {code}")
        self.code: Final = code
        self.output: Final = output

    def tail(self) -> str:
        """The last lines, where programs report what went wrong."""
        return "\n".join(self.output.rstrip().splitlines()[-_TAIL_LINES:])


def run(
    command: Sequence[str],
    step: Step | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    progress_of: Callable[[str], str | None] = lambda line: line,
) -> str:
    """Run `command` in the checkout and return what it printed.

    Each line that it prints becomes the progress of `step`, as `progress_of` words it.
    """
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error}") from error
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                words = progress_of(line.strip())
                if step is not None and words:
                    step.progress(words)
        except BaseException:
            # Ctrl-C or SIGTERM here: the command ends too, or leaving `with` would wait for it.
            process.terminate()
            raise
    output = "".join(lines)
    if process.returncode:
        raise CommandFailed(command, process.returncode, output)
    return output
