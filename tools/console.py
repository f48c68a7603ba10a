"""Output for the terminal. Standard library only: used before the set-up."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn, Self

_QUIET_EVERY_S: Final = 15.0


class UserError(Exception):
    """An obstacle, in one sentence for the user, with what to do about it."""


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    with suppress(OSError):  # the terminal or the reader of a pipe may be gone
        print(text, flush=True)


def fail(error: UserError) -> NoReturn:
    """End with the sentence and exit code 1."""
    print(f"\nFaces cannot go on: {error}", file=sys.stderr, flush=True)
    raise SystemExit(1)


class Step:
    """A step that may take long: prints its title, its progress and its duration.

    On a terminal the progress is one line, rewritten; elsewhere a line every now and then.
    """

    def __init__(self, title: str) -> None:
        self.title: Final = title
        self._terminal: Final = sys.stdout.isatty()
        self._began = self._printed_at = time.monotonic()

    def __enter__(self) -> Self:
        self._began = self._printed_at = time.monotonic()
        say(f"• {self.title} …")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._terminal:
            print("\r\033[K", end="", flush=True)
        if error is None:
            say(f"  done in {self._elapsed_s():.0f} s")

    def progress(self, text: str) -> None:
        """Show how far it is."""
        if self._terminal:
            print(f"\r\033[K  {self._elapsed_s():4.0f} s  {text[:70]}", end="", flush=True)
        elif time.monotonic() - self._printed_at >= _QUIET_EVERY_S:
            self._printed_at = time.monotonic()
            say(f"  {self._elapsed_s():.0f} s: {text[:100]}")

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began
