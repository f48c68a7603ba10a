"""A client of the websocket, as real as any: connected until closed, keeping every frame."""

import json
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self

import jsonschema
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wire import frames

_POLL_S: Final = 0.02

_SCHEMA: Final = jsonschema.Draft202012Validator(frames.FRAME)


class Listener:
    """Listens from its making on, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.url: Final = url
        self.closed_by_server: ConnectionClosed | None = None
        self._frames: list[str] = []
        self._closing = False
        # No proxy: what the environment names is not for this machine.
        self._connection = connect(url, proxy=None, open_timeout=20)
        self._thread = threading.Thread(target=self._read, name=f"listener {url}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether neither side has closed."""
        return self._thread.is_alive()

    @property
    def texts(self) -> list[str]:
        """Every frame so far, as it came."""
        return list(self._frames)

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Every frame so far, parsed."""
        return [json.loads(text) for text in self.texts]

    def ids(self) -> list[str]:
        """The submissions received so far, in order."""
        return [frame["submission_id"] for frame in self.frames if "submission_id" in frame]

    def wait_for(self, ids: Iterable[str], timeout_s: float = 180) -> list[dict[str, Any]]:
        """All frames, each as the schema of frames has it, once there is one for each of `ids`."""
        missing, deadline = set(ids), time.monotonic() + timeout_s
        while missing := missing - set(self.ids()):
            if time.monotonic() > deadline or not self.is_connected:
                state = "connected" if self.is_connected else f"closed: {self.closed_by_server}"
                raise TimeoutError(f"no frame for {sorted(missing)} in {timeout_s} s ({state})")
            time.sleep(_POLL_S)
        for frame in self.frames:
            _SCHEMA.validate(frame)
        return self.frames

    def wait_closed(self, timeout_s: float = 180) -> ConnectionClosed:
        """How the server closed the connection, once it did."""
        self._thread.join(timeout_s)
        assert self.closed_by_server is not None, f"still connected after {timeout_s} s"
        return self.closed_by_server

    def close(self) -> None:
        """Leave."""
        self._closing = True
        self._connection.close()
        self._thread.join(10)

    def _read(self) -> None:
        try:
            for message in self._connection:
                self._frames.append(str(message))
            error = None
        except ConnectionClosed as closed:
            error = closed
        if not self._closing:
            self.closed_by_server = error
