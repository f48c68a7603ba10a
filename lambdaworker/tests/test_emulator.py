"""The emulator, with the real runtime interface client in its instances."""

import json
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lambdaworker.emulator.function import Function
from lambdaworker.emulator.http import Server
from lambdaworker.emulator.invoke import InvokeApi
from lambdaworker.emulator.lambdas import Lambda

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:faces"


def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it does not come to that"
        time.sleep(0.005)


class EmulatorTests(unittest.TestCase):
    """One emulator for all: a start of the runtime takes as long as all else."""

    emulated: Lambda
    letters: list[str] = []

    @classmethod
    def setUpClass(cls) -> None:
        function = Function(
            handler="lambdaworker.tests.functions.handler",
            timeout_s=1.0,
            instances=2,
            retry_delays_s=(0.01, 0.01),
        )
        keep = lambda invocation, answer: cls.letters.append(invocation.id)  # noqa: E731
        cls.emulated = Lambda(function, on_dead_letter=keep)
        cls.addClassCleanup(cls.emulated.close)
        server = Server(("127.0.0.1", 0), InvokeApi, cls.emulated)
        server.start()
        cls.addClassCleanup(server.stop)
        cls.client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{server.port}",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
        )
        cls.addClassCleanup(cls.client.close)

    client: Any

    def call(self, **event: Any) -> tuple[Any, str]:
        """The answer, and the kind of error."""
        answer = self.client.invoke(FunctionName=ARN, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")

    def send(self, **event: Any) -> str:
        answer = self.client.invoke(
            FunctionName=ARN, InvocationType="Event", Payload=json.dumps(event)
        )
        self.assertEqual(answer["StatusCode"], 202)
        return str(answer["ResponseMetadata"]["RequestId"])

    def test_an_instance_is_kept_for_the_next_invocation(self) -> None:
        first, error = self.call()
        second, _ = self.call()
        self.assertEqual((error, first["pid"]), ("", second["pid"]))
        self.assertEqual(first["memory_mb"], "512")
        self.assertTrue(0 < first["left_ms"] <= 1000)

    def test_what_the_function_raises_is_its_answer(self) -> None:
        answer, error = self.call(do="raise")
        self.assertEqual((error, answer["errorType"]), ("Unhandled", "ValueError"))
        self.assertEqual(answer["errorMessage"], "as the event says")

    def test_what_takes_too_long_is_killed_and_the_next_one_runs(self) -> None:
        answer, error = self.call(do="sleep", seconds=60)
        self.assertEqual((error, answer["errorType"]), ("Unhandled", "Sandbox.Timedout"))
        self.assertIn("timed out after 1.00 seconds", answer["errorMessage"])
        self.assertEqual(self.call()[1], "")

    def test_a_process_that_ends_is_replaced(self) -> None:
        answer, _ = self.call(do="exit")
        self.assertEqual(answer["errorType"], "Runtime.ExitError")
        self.assertIn("exit status 3", answer["errorMessage"])
        self.assertEqual(self.call()[1], "")

    def test_an_event_is_tried_three_times_and_is_then_a_dead_letter(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "attempts")
            id = self.send(do="append", file=str(file))
            until(lambda: id in self.letters)
            self.assertEqual(file.read_text().split(), [id] * 3)

    def test_an_event_that_succeeds_is_run_once(self) -> None:
        before = self.emulated.finished
        self.send()
        until(lambda: self.emulated.finished == before + 1)
        self.assertEqual(self.emulated.waiting, 0)

    def test_two_run_at_once_and_a_third_is_refused(self) -> None:
        threads = [
            threading.Thread(target=lambda: self.call(do="sleep", seconds=0.7)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        until(lambda: self.emulated.waiting == 2)
        self.assertIsNone(self.emulated.call(b"{}")[1])
        for thread in threads:
            thread.join()

    def test_payloads_are_bounded_as_on_lambda(self) -> None:
        for kind, size in (("Event", 256 << 10), ("RequestResponse", 6 << 20)):
            with self.subTest(kind), self.assertRaises(ClientError) as raised:
                payload = json.dumps({"x": "y" * size})
                self.client.invoke(FunctionName=ARN, InvocationType=kind, Payload=payload)
            error = raised.exception.response
            self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], 413)
            self.assertEqual(error["Error"]["Code"], "RequestTooLargeException")
        answer, _ = self.call(do="answer", bytes=7 << 20)
        self.assertEqual(answer["errorType"], "Function.ResponseSizeTooLarge")

    def test_a_dry_run_runs_nothing_and_nonsense_is_refused(self) -> None:
        answer = self.client.invoke(FunctionName=ARN, InvocationType="DryRun", Payload=b"{}")
        self.assertEqual(answer["StatusCode"], 204)
        with self.assertRaises(ClientError) as raised:
            self.client.invoke(FunctionName=ARN, Payload=b"{")
        code = raised.exception.response["Error"]["Code"]
        self.assertEqual(code, "InvalidRequestContentException")

    def test_a_function_that_cannot_start_says_so(self) -> None:
        broken = Lambda(Function(handler="lambdaworker.tests.nothing.handler", instances=1))
        self.addCleanup(broken.close)
        _, answer = broken.call(b"{}")
        assert answer is not None
        self.assertEqual(json.loads(answer.body)["errorType"], "Runtime.InitError")
