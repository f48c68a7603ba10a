"""Those who use the service meanwhile: they upload, listen, and keep what they were answered."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, Final

import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.support import samples
from tests.support.stack import local_session

ACCEPTED: Final = 202
NO_ANSWER: Final = "no answer"

_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.2
Picture = tuple[int, Callable[[], bytes], int]
"""The number of its faces, the picture, and its share of all that are sent."""

_SMALL: Final[tuple[Picture, ...]] = ((1, samples.face, 3), (0, samples.no_face, 2))


class Uploads:
    """Images from several threads at `rate` a second, until `stop()`."""

    def __init__(
        self,
        url: str,
        *,
        seed: int,
        rate: float,
        threads: int = 4,
        pictures: Sequence[Picture] = _SMALL,
    ) -> None:
        self.accepted: Final[dict[str, int]] = {}
        """The faces that the picture has, by submission."""
        self.answers: Final = Counter[str]()
        """How often each status, or `NO_ANSWER`, came."""
        self.during: Final = Counter[str]()
        """How often an upload was not accepted, by the fault of that moment."""
        self.unclear: Final = Counter[str]()
        """Answers other than 202 without `Retry-After` or without a reason in JSON."""
        self.sent_at: Final[dict[str, float]] = {}
        """When each accepted upload began, by `time.monotonic`."""
        self.waits_s: Final[list[float]] = []
        """How long each answer took."""
        self.fault = ""
        self._url: Final = f"{url}/image/"
        self._pause_s: Final = threads / rate
        self._pictures: Final = pictures
        self._choice: Final = random.Random(seed)
        self._lock: Final = Lock()
        self._is_over: Final = Event()
        self._threads: Final = [Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more; returns when each that was sent has its answer."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_over.wait(self._pause_s):
            self._upload(*self._next())

    def _next(self) -> tuple[int, bytes]:
        with self._lock:
            number = self._choice.getrandbits(60)
            shares = [share for *_, share in self._pictures]
            faces, picture, _ = self._choice.choices(self._pictures, shares)[0]
        return faces, samples.another(picture(), number)

    def _upload(self, faces: int, picture: bytes) -> None:
        fault, answer, id, began = self.fault, NO_ANSWER, "", time.monotonic()
        is_clear = True
        with suppress(requests.RequestException, ValueError), local_session() as session:
            response = session.post(
                self._url, files={"image": ("image.jpg", picture)}, timeout=_TIMEOUT_S
            )
            answer = str(response.status_code)
            is_clear = response.status_code == ACCEPTED or _is_clear(response)
            if response.status_code == ACCEPTED:
                id = str(response.json()["id"])
        with self._lock:
            self.answers[answer] += 1
            self.unclear[answer] += not is_clear
            self.waits_s.append(time.monotonic() - began)
            if id:
                self.accepted[id], self.sent_at[id] = faces, began
            else:
                self.during[f"{answer}, {fault or 'no fault'}"] += 1


class Reads:
    """The status of one accepted upload after the other, until `stop()`."""

    def __init__(self, url: str, uploads: Uploads, *, rate: float) -> None:
        self.answers: Final = Counter[str]()
        self.during: Final = Counter[str]()
        """Answers other than 200, by the fault of that moment."""
        self._url: Final = url
        self._uploads: Final = uploads
        self._pause_s: Final = 1 / rate
        self._is_over: Final = Event()
        self._thread: Final = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._is_over.set()
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_over.wait(self._pause_s):
            if accepted := list(self._uploads.accepted):
                self._read(f"{self._url}/image/{random.choice(accepted)}/")

    def _read(self, url: str) -> None:
        fault, answer = self._uploads.fault, NO_ANSWER
        with suppress(requests.RequestException), local_session() as session:
            answer = str(session.get(url, timeout=_TIMEOUT_S).status_code)
        self.answers[answer] += 1
        if answer != "200":
            self.during[f"{answer}, {fault or 'no fault'}"] += 1


class Listener:
    """Follows the events over reconnects, as docs/events.md shows it."""

    def __init__(self, url: str) -> None:
        self.published: Final = Counter[str]()
        """How often each submission's event came."""
        self.first_at: Final[dict[str, float]] = {}
        """When it came first, by `time.monotonic`."""
        self._url: Final = f"{url.replace('http:', 'ws:')}/faces?outcomes=all"
        self._is_over: Final = Event()
        self._thread: Final = Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._is_over.set()
        self._thread.join(2 * _TIMEOUT_S)

    def wait_for(self, ids: set[str], timeout_s: float) -> set[str]:
        """Those of `ids` whose event has not come in time."""
        deadline = time.monotonic() + timeout_s
        while (missing := ids - set(self.published)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return missing

    def _run(self) -> None:
        since = ""
        while not self._is_over.wait(_POLL_S):
            url = self._url + (f"&since={since}" if since else "")
            with (
                suppress(OSError, WebSocketException),
                connect(url, proxy=None, open_timeout=_TIMEOUT_S) as socket,
            ):
                while not self._is_over.is_set():
                    with suppress(TimeoutError):
                        since = self._take(json.loads(socket.recv(timeout=1))) or since

    def _take(self, frame: dict[str, Any]) -> str:
        """Count an event; its position in the stream, or nothing where the frame is no event."""
        if "submission_id" not in frame:
            return ""
        self.first_at.setdefault(frame["submission_id"], time.monotonic())
        self.published[frame["submission_id"]] += 1
        return str(frame["event_id"])


def _is_clear(response: requests.Response) -> bool:
    return "Retry-After" in response.headers and "detail" in response.json()


def resources(url: str, ids: set[str]) -> dict[str, dict[str, Any] | None]:
    """The status resource of each of `ids`; None where there is none."""
    with local_session() as session:
        answers = {id: session.get(f"{url}/image/{id}/", timeout=_TIMEOUT_S) for id in ids}
    return {id: each.json() if each.status_code == 200 else None for id, each in answers.items()}
