"""One instance: a process with the real runtime interface client, and its runtime API."""

from __future__ import annotations

import logging
import queue
import re
import subprocess
import threading
import time
from typing import Final

from lambdaworker.emulator.function import (
    MAX_PAYLOAD_BYTES,
    Answer,
    Function,
    Invocation,
    failed,
    timed_out,
)
from lambdaworker.emulator.http import Requests, Server

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.05
"""Interval at which a dead process is noticed."""

_STOP: Final = None


class Instance:
    """Runs one invocation at a time; its process is started when there is one, and kept after it.

    It is killed when an invocation takes too long, and a new one takes its place, as on Lambda.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._process: subprocess.Popen[bytes] | None = None
        self._api: Server | None = None
        self.offered: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        self.ready = threading.Event()
        self.cold_start_s = 0.0
        """From the start of the last process to its first request for work."""

    def run(self, invocation: Invocation) -> Answer:
        """The function's answer, or how it failed to give one."""
        if not self._is_alive():
            problem = self._start()
            if problem:
                self.kill()
                return failed(invocation, "Runtime.InitError", problem)
        invocation.deadline = time.time() + self._function.timeout_s
        self.offered.put(invocation)
        answer = self._awaited(invocation)
        if answer is None:
            self.kill()
            return timed_out(invocation, self._function.timeout_s)
        return answer

    def kill(self) -> None:
        """End the process and its runtime API, whatever they do."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._api is not None:
            self.offered.put(_STOP)
            self._api.stop()
        self._process = self._api = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> str:
        """Start a process; what went wrong, if it never asks for work."""
        self.kill()
        self.offered, self.answers = queue.SimpleQueue(), queue.SimpleQueue()
        self.ready.clear()
        self._api = Server(("127.0.0.1", 0), RuntimeApi, self)
        self._api.start()
        began = time.monotonic()
        self._process = subprocess.Popen(self._command(self._api.port))
        while not self.ready.wait(_POLL_S):
            if self._process.poll() is not None:
                return f"Runtime exited with status {self._process.returncode}"
            if time.monotonic() - began > self._function.init_timeout_s:
                return "The initialisation took too long"
        self.cold_start_s = time.monotonic() - began
        logger.info("instance pid=%d cold_start_ms=%d", self._process.pid, self.cold_start_s * 1000)
        return ""

    def _command(self, port: int) -> list[str]:
        """By env(1): the process inherits our environment, and this module need not read it."""
        function = self._function
        variables = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "_HANDLER": function.handler,
            **function.environment,
        }
        command = ["env", *(f"{name}={value}" for name, value in variables.items())]
        return [*command, function.python, "-m", "awslambdaric", function.handler]

    def _awaited(self, invocation: Invocation) -> Answer | None:
        """The answer of the process; None if it comes too late."""
        while True:
            alive = self._is_alive()
            try:
                id, answer = self.answers.get(timeout=_POLL_S if alive else 0.001)
            except queue.Empty:
                if not alive:
                    return failed(invocation, "Runtime.ExitError", self._exit())
                if time.time() > invocation.deadline:
                    return None
                continue
            if id == invocation.id:
                return answer

    def _exit(self) -> str:
        code = self._process.returncode if self._process else None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return f"Runtime exited with error: {how}"


class RuntimeApi(Requests):
    """`/2018-06-01/runtime/…`, for one instance."""

    _PATH: Final = re.compile(r"/2018-06-01/runtime/(?:invocation/([\w-]+)/)?(\w+|init/error)")

    def do_GET(self) -> None:
        if self.path != "/2018-06-01/runtime/invocation/next":
            self.refuse(404, "NotFound", "No such path.")
            return
        instance: Instance = self.server.app
        instance.ready.set()
        invocation = instance.offered.get()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": instance._function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.id[-12:]:0>24}",
        }
        self.answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        instance: Instance = self.server.app
        match = self._PATH.fullmatch(self.path)
        body = self.body(at_most=MAX_PAYLOAD_BYTES)
        if match is None or match[2] not in ("response", "error", "init/error"):
            self.refuse(404, "NotFound", "No such path.")
        elif body is None:
            text = b'{"errorType": "Function.ResponseSizeTooLarge", "errorMessage": "Too large."}'
            instance.answers.put((match[1], Answer(text, "Unhandled")))
            self.refuse(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size.")
        else:
            if match[1]:
                is_error = match[2] == "error"
                instance.answers.put((match[1], Answer(body, "Unhandled" if is_error else "")))
            self.answer(202, b'{"status": "OK"}')
