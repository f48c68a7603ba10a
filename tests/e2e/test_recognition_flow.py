"""Galleries over the whole service: real workers, real order, a real feed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from backend.recognition.tests.base import Images
from tests.support import photographs, samples
from tests.support.scaled_stack import ScaledStack
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

USERS = "/recognition/users"


class RecognitionFlowTests(StackCase):
    stack: ClassVar[ScaledStack]
    web: ClassVar[Images]

    @classmethod
    def setUpClass(cls) -> None:
        super(StackCase, cls).setUpClass()
        cls.web = cls.enterClassContext(Images())
        settings = {
            "FACES_DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1",
            "FACES_SYNC_RESPONSE_TIMEOUT_S": "3",
        }
        cls.stack = cls.enterClassContext(ScaledStack(backends=2, settings=settings))

    def call(self, method: str, path: str, body: Any = None, *, backend: int = 0) -> Any:
        """What the call comes to, at once or later."""
        url = self.stack.backend_urls[backend]
        answer = self.stack.request(method, f"{url}{path}", json=body)
        return self.ended(answer.json()) if answer.status_code == 202 else answer.json()

    def ended(self, operation: dict[str, Any]) -> Any:
        path = f"/recognition/operations/{operation['operation_id']}/"

        def has_ended() -> bool:
            return self.stack.get(path).json()["status"] in ("done", "failed")

        wait_until(has_ended, "the call has ended")
        return self.stack.get(path).json()["result"]

    def photo(self, name: str) -> dict[str, Any]:
        return {"face_id": 1, "score": 1.0, "face_url": self.web.put(photographs.read(name))}

    def test_two_people_are_distinguished(self) -> None:
        for contact, name in ((1, "obama.jpg"), (2, "biden.jpg")):
            path = f"{USERS}/1/contacts/{contact}/faces"
            added = self.call("POST", path, {"faces": [self.photo(name)]})
            self.assertEqual([face["is_face"] for face in added["added"]], [True])
        found = self.call("POST", f"{USERS}/1/recognize", self.photo("obama2.jpg"))
        self.assertEqual([face["contact_id"] for face in found], [1])
        no_face = {"face_url": self.web.put(samples.no_face())}
        self.assertIsNone(self.call("POST", f"{USERS}/1/recognize/", no_face, backend=1))

    def test_calls_at_two_backends_take_effect_in_one_order(self) -> None:
        """A deletion needs no worker, and still waits for the additions before it."""
        face, path = self.photo("obama_partial_face.jpg"), f"{USERS}/2/contacts/1/faces"

        def alternate(number: int) -> Any:
            method = "DELETE" if number % 2 else "POST"
            return self.call(method, path, {"faces": [face]}, backend=number % 2)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(alternate, range(12)))
        self.assertEqual([len(answer["error"]) for answer in answers], [0] * 12)
        rows = self.stack.query(
            "SELECT o.kind, o.result FROM recognition_operation o JOIN recognition_user u"
            " ON u.id = o.user_id WHERE u.user_id = 2 ORDER BY o.sequence"
        )
        kinds = [row["kind"] for row in rows]
        self.assertEqual([changed(row["result"]) for row in rows], list(expected(kinds)))

    def test_a_change_that_waits_for_workers_is_202_and_published(self) -> None:
        listener = self.listen("outcomes=operation")
        id = self.change_that_waits(1)

        def received() -> list[Any]:
            return [frame for frame in listener.frames if frame.get("operation_id") == id]

        wait_until(lambda: bool(received()), "the listener received it")
        self.stack.redis.flush()
        wait_until(
            lambda: id in [entry["submission_id"] for entry in self.stack.events()],
            "it is published again",
        )
        # A later one passes the same listener: the repeat was dropped before it.
        other = self.change_that_waits(2)
        wait_until(
            lambda: other in [frame.get("operation_id") for frame in listener.frames],
            "the listener received the next",
        )
        self.assertEqual(len(received()), 1)

    def change_that_waits(self, contact: int) -> str:
        """The id of an operation that was answered with 202, and has ended."""
        self.stack.pool.kill()
        answer = self.stack.request(
            "POST", f"{USERS}/3/contacts/{contact}/faces", json=[self.photo("biden.jpg")]
        )
        self.assertEqual(answer.status_code, 202)
        self.stack.pool.start()
        self.assertEqual(len(self.ended(answer.json())["added"]), 1)
        return str(answer.json()["operation_id"])


def changed(result: Any) -> tuple[int, int, int]:
    """How many a call added, deleted, and left alone."""
    lists = json.loads(result) if isinstance(result, str) else result
    return len(lists["added"]), len(lists["deleted"]), len(lists["not_found"])


def expected(kinds: Iterable[str]) -> Iterator[tuple[int, int, int]]:
    """What calls that add and delete one face come to, one after the other."""
    is_there = False
    for kind in kinds:
        does = (kind == "add") != is_there
        yield int(does and kind == "add"), int(does and kind == "delete"), int(not does)
        is_there = kind == "add"
