"""Photos found by the Lambda function: the whole way, with everything real but AWS itself.

upload → Django → boto3 → the emulator → AWS's runtime interface client → the function → signed
address → nginx → encodings → callback → matches.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from lambdaworker.emulator.function import Function, Invocation
from lambdaworker.emulator.http import Server
from lambdaworker.emulator.invoke import InvokeApi
from lambdaworker.emulator.lambdas import Lambda
from lambdaworker.tests import service as services
from tests.support import image_factories, photographs
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase
from wire import environment

_FUNCTION = Function(
    timeout_s=30,
    instances=2,
    retry_delays_s=(0.05, 0.05),
    environment={
        "FACES_LAMBDA_RETRY_DELAY_S": "0.01",
        "FACES_MAX_IMAGE_PIXELS": "0",
        "FACES_LOG_LEVEL": "ERROR",
    },
)

_UPLOAD = """
import sys
from pathlib import Path
from django.core.files.base import ContentFile
from backend.photos.tests import factories
kind, *names = sys.argv[1:]
album = factories.album() if kind == "photo" else None
for name in names:
    data = Path(name).read_bytes()
    if album:
        made = factories.photo(album, data, "p.jpg")
    else:
        made = factories.reference(factories.member(), data)
    print(made.pk)
"""


class Held(Lambda):
    """The emulator, which may keep what it accepts for the test to look at and to run."""

    holds = False

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self.held: list[Any] = []

    def accept(self, payload: bytes) -> Invocation:
        if not self.holds:
            return super().accept(payload)
        self.held.append(json.loads(payload))
        return Invocation(payload)

    def invoke(self, event: Any) -> tuple[Any, str]:
        """The function's answer, and the kind of its error."""
        _, answer = self.call(json.dumps(event).encode())
        assert answer is not None
        return json.loads(answer.body), answer.error


class LambdaFlowTests(StackCase):
    emulated: ClassVar[Held]

    @classmethod
    def setUpClass(cls) -> None:
        cls.emulated = Held(_FUNCTION)
        cls.addClassCleanup(cls.emulated.close)
        server = Server(("127.0.0.1", 0), InvokeApi, cls.emulated)
        server.start()
        cls.addClassCleanup(server.stop)
        cls.options = {
            "nginx": True,
            "workers": 1,
            "settings": {
                "FACES_PHOTOS_EXTRACTION": "auto",
                "FACEDETECTION_LAMBDA_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:faces",
                "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{server.port}",
                "FACEDETECTION_LAMBDA_BATCH_SIZE": "20",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "y",
            },
        }
        super().setUpClass()

    def setUp(self) -> None:
        self.emulated.holds = False
        self.emulated.held.clear()

    # --- steps

    def upload(self, *images: bytes, kind: str = "photo") -> list[int]:
        """Taken in by the service, as its pages do it; the ids."""
        names = []
        for image in images:
            path = self.stack.temporary / hashlib.sha256(image).hexdigest()
            path.write_bytes(image)
            names.append(str(path))
        setup = "import django; django.setup()"
        code = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'backend.settings'"
        ran = subprocess.run(
            [sys.executable, "-c", f"{code}; {setup}\n{_UPLOAD}", kind, *names],
            cwd=environment.ROOT,
            env=self.stack.environ,
            capture_output=True,
            text=True,
        )
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return [int(line) for line in ran.stdout.split()]

    def rows(self, ids: list[int], kind: str = "photo") -> list[dict[str, Any]]:
        found = {row["id"]: row for row in self.stack.query(f"SELECT * FROM photos_{kind}")}
        return [found[id] for id in ids]

    def wait_for(self, ids: list[int], state: str = "done", kind: str = "photo") -> None:
        def there() -> bool:
            return all(row["extraction"] == state for row in self.rows(ids, kind))

        wait_until(there, f"{kind} {ids} are {state}")

    def held(self, ids: list[int]) -> Any:
        """The event that submitted exactly these; its function has not run."""

        def submitted() -> bool:
            sent = {source["pk"] for event in self.emulated.held for source in event["sources"]}
            return sent >= set(ids)

        wait_until(submitted, f"{ids} are submitted")
        every = [each for event in self.emulated.held for each in event["sources"]]
        newest = {source["pk"]: source for source in every}
        return {**self.emulated.held[0], "sources": [newest[id] for id in ids]}

    def hold(self, count: int = 3) -> tuple[list[int], Any]:
        """New photos of one face, and the event that they were submitted by."""
        self.emulated.holds = True
        images = [
            image_factories.encoded(image_factories.portrait(width=250 + n)) + _new()
            for n in range(count)
        ]
        ids = self.upload(*images)
        return ids, self.held(ids)

    def faces(self, id: int) -> int:
        query = "SELECT COUNT(*) AS n FROM photos_photoface WHERE photo_id = ?"
        return int(self.stack.query(query, id)[0]["n"])

    # --- the loop

    def test_an_album_is_done_by_lambda_and_a_member_finds_themselves(self) -> None:
        (reference,) = self.upload(photographs.read("obama2.jpg"), kind="reference")
        alone, other, both, nobody = self.upload(
            photographs.read("obama.jpg"),
            photographs.read("biden.jpg"),
            image_factories.encoded(image_factories.side_by_side(width=400)),
            image_factories.encoded(image_factories.faceless()),
        )
        self.wait_for([alone, other, both, nobody])
        self.wait_for([reference], kind="reference")
        counts = [row["faces_count"] for row in self.rows([alone, other, both, nobody])]
        self.assertEqual(counts, [1, 1, 2, 0])

        def matched() -> set[int]:
            query = "SELECT photo_id FROM photos_match WHERE reference_id = ?"
            found = {row["photo_id"] for row in self.stack.query(query, reference)}
            return found & {alone, other, both, nobody}  # those of other tests match as well

        wait_until(lambda: matched() >= {alone, both}, "the member's photos are found")
        self.assertEqual(matched(), {alone, both})
        boxes = self.stack.query("SELECT * FROM photos_photoface WHERE photo_id = ?", alone)
        self.assertGreater(boxes[0]["bottom"], boxes[0]["top"])

    def test_an_old_services_payload_is_understood_by_the_new_function(self) -> None:
        ids, event = self.hold(1)
        event.pop("accepts")
        result, error = self.emulated.invoke(event)
        self.assertEqual((result["done"], error), (1, ""))
        self.wait_for(ids)

    # --- what goes wrong

    def test_two_invocations_of_one_batch_record_it_once(self) -> None:
        ids, event = self.hold()
        answers: list[Any] = []
        run: Callable[[], object] = lambda: answers.append(self.emulated.invoke(event))  # noqa: E731
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([error for _, error in answers], ["", ""])
        self.assertEqual(sum(result["done"] for result, _ in answers), 3)
        self.assertEqual([self.faces(id) for id in ids], [1, 1, 1])

    def test_bad_and_expired_addresses_cost_only_their_own_source(self) -> None:
        ids, event = self.hold()
        for source, old, new in (
            (event["sources"][0], "expires=", "expires=1"),
            (event["sources"][1], "/api/", "/nowhere/"),
        ):
            source["photo_url"] = source["photo_url"].replace(old, new)
        result, error = self.emulated.invoke(event)
        self.assertEqual((result["done"], error), (1, ""))
        self.assertEqual({each["pk"] for each in result["failed"]}, set(ids[:2]))
        # The service knows, and does not wait for seven hours.
        self.assertEqual([row["token_sha256"] for row in self.rows(ids)], ["", "", ""])
        self.emulated.holds = False
        said = self.stack.manage("trigger_facedetection_lambda").stdout
        self.assertIn("Submitted 2 of 2", said)
        self.wait_for(ids)

    def test_an_expired_token_gets_nothing_done_and_the_newer_one_does(self) -> None:
        ids, old = self.hold(2)
        self.emulated.held.clear()
        self.let_seven_hours_pass()
        new = self.held(ids)
        self.assertNotEqual(old["sources"][0]["token"], new["sources"][0]["token"])
        result, error = self.emulated.invoke(old)
        self.assertEqual((result["not_wanted"], error), (2, ""))
        self.assertEqual([self.faces(id) for id in ids], [0, 0])
        self.assertEqual(self.emulated.invoke(new)[0]["done"], 2)

    def test_a_killed_function_is_repeated_for_the_remaining_sources(self) -> None:
        ids, event = self.hold()
        self.emulated.holds = False
        with services.running() as store:
            body = image_factories.encoded(image_factories.portrait(width=250))
            event["sources"][2]["photo_url"] = store.photo("last.jpg", body)
            asked, goes_on = threading.Event(), threading.Event()

            def hang(path: str) -> None:
                asked.set()
                goes_on.wait(30)

            store.on_request = hang
            self.emulated.accept(json.dumps(event).encode())
            self.assertTrue(asked.wait(30))
            self.wait_for(ids[:2])
            before = [row["extracted_at"] for row in self.rows(ids[:2])]
            pids = [
                each.pid
                for each in self.emulated.instances
                if each not in self.emulated._idle.queue
            ]
            for pid in pids:
                os.kill(pid or 0, signal.SIGKILL)
            goes_on.set()
            self.wait_for(ids)
        self.assertEqual([row["extracted_at"] for row in self.rows(ids[:2])], before)
        self.assertEqual([self.faces(id) for id in ids], [1, 1, 1])

    def test_while_the_service_is_down_the_invocation_fails_and_can_be_repeated(self) -> None:
        ids, event = self.hold(2)
        assert self.stack.nginx is not None
        self.stack.nginx.stop()
        answer, error = self.emulated.invoke(event)
        self.assertEqual((answer["errorType"], error), ("SourcesLeft", "Unhandled"))
        self.stack.nginx.start()
        self.stack.wait_ready()
        self.assertEqual(self.emulated.invoke(event)[0]["done"], 2)
        self.wait_for(ids)

    def let_seven_hours_pass(self) -> None:
        sql = "UPDATE photos_photo SET submitted_at = '2026-01-01 00:00:00+00:00'"
        code = f"from django.db import connection as c; c.cursor().execute({sql!r})"
        ran = self.stack.manage("shell", "-v0", "-c", code)
        self.assertEqual(ran.returncode, 0, ran.stderr)


def _new() -> bytes:
    """What makes the bytes of an image others than any before, and is no part of the picture."""
    return str(time.monotonic_ns()).encode()
