"""The emulated function's configuration, an invocation, its answer."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_PAYLOAD_BYTES: Final = 6 << 20
"""Of a synchronous invocation, and of every response
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

MAX_EVENT_BYTES: Final = 256 << 10
"""Of an asynchronous invocation until October 2025, when it became 1 MB: what passes here passes
in every region."""


@dataclass(frozen=True)
class Function:
    """Configuration, with Lambda's own defaults where it has any."""

    handler: str = "lambdaworker.handler.handler"
    name: str = "function"
    memory_mb: int = 512
    timeout_s: float = 60.0
    init_timeout_s: float = 60.0
    """Lambda gives 10 s; a laptop may have to convert the models first."""
    instances: int = 2
    """At most so many run at once: the reserved concurrency."""
    retry_delays_s: Sequence[float] = (60.0, 120.0)
    """Before an event that failed is tried again; then it is a dead letter
    (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html)."""
    max_event_bytes: int = MAX_EVENT_BYTES
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the function, beside our own."""
    python: str = field(default=sys.executable)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.name}"


@dataclass
class Invocation:
    """One request to run the function; an event keeps its id through its retries, as on Lambda."""

    payload: bytes
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 1
    deadline: float = 0.0
    """Unix time in seconds, set when an instance takes it."""


@dataclass(frozen=True)
class Answer:
    """The result of an invocation; `error` is empty, or the kind that Invoke names in a header."""

    body: bytes
    error: str = ""


def failed(invocation: Invocation, kind: str, message: str) -> Answer:
    """A failure that the runtime could not report itself, in its words."""
    text = f"RequestId: {invocation.id} Error: {message}"
    return Answer(json.dumps({"errorType": kind, "errorMessage": text}).encode(), "Unhandled")


def timed_out(invocation: Invocation, timeout_s: float) -> Answer:
    """The answer of Lambda to a function that exceeds its time."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    message = f"{stamp} {invocation.id} Task timed out after {timeout_s:.2f} seconds"
    body = {"errorType": "Sandbox.Timedout", "errorMessage": message}
    return Answer(json.dumps(body).encode(), "Unhandled")
