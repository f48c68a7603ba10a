"""What several threads share: bytes, and places of which one client has only a part."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """At most `most_bytes` are reserved at once; further threads wait."""

    def __init__(self, most_bytes: int) -> None:
        self._left_bytes = most_bytes
        self._most_bytes = most_bytes
        self._changed = threading.Condition()

    @contextmanager
    def reserved(self, size_bytes: int) -> Iterator[None]:
        """Holds `size_bytes` within the block; more than there are count as all."""
        size_bytes = min(size_bytes, self._most_bytes)
        with self._changed:
            self._changed.wait_for(lambda: self._left_bytes >= size_bytes)
            self._left_bytes -= size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._left_bytes += size_bytes
                self._changed.notify_all()


class Slots:
    """At most `most` are held at once, and `most_of_one` by one client, so that others get some."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._held: Counter[str | None] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def held(self, client: str | None, *, timeout_s: float) -> Iterator[bool]:
        """Whether a slot became free in time; it is held within the block. None: of no client."""
        with self._changed:
            is_held = self._changed.wait_for(lambda: self._is_free(client), timeout_s)
            self._held[client] += is_held
        try:
            yield is_held
        finally:
            if is_held:
                with self._changed:
                    self._held -= Counter({client: 1})
                    self._changed.notify_all()

    def _is_free(self, client: str | None) -> bool:
        of_one = self._most if client is None else self._most_of_one
        return self._held.total() < self._most and self._held[client] < of_one
