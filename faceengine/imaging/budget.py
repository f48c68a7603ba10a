"""A number of bytes that several threads share."""

import threading
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
