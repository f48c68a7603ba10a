"""All sources of one invocation, in parallel, within its time; and its result."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore
from typing import Final, TypedDict

from lambdaworker import sources
from lambdaworker.options import Options
from lambdaworker.sources import Batch, Ended, Outcome
from safe_http import Client, Policy
from wire.facedetection import Invocation

_MAX_FAILED: Final = 100
"""Failed sources named in a result: the runtime takes 6 MB, and a log line less."""


class FailedSource(TypedDict):
    """A source without result, by its type and pk."""

    type: str
    pk: int
    reason: str
    again: bool
    """Whether another invocation may do better."""


class Result(TypedDict):
    """The function's return value."""

    sources: int
    done: int
    not_wanted: int
    failed: Sequence[FailedSource]


class SourcesLeft(Exception):
    """Some sources may succeed if the function is invoked again: Lambda does so by itself."""

    def __init__(self, result: Result) -> None:
        left = sum(each["again"] for each in result["failed"])
        super().__init__(f"{left} of {result['sources']} sources are left: {json.dumps(result)}")
        self.result = result


def run(invocation: Invocation, options: Options, remaining_s: float) -> Result:
    """Work on all sources; `remaining_s` is what the function has before it is killed.

    Raises `SourcesLeft` if another invocation may help. That one asks the service first which
    sources it still waits for, if the service supports it, and does only these.
    """
    ends_at = time.monotonic() + remaining_s - options.margin_s
    engines = BoundedSemaphore(options.engines)
    batch = Batch(invocation, options, _client(options), engines, ends_at)
    with ThreadPoolExecutor(options.parallel, "source") as threads:
        outcomes = list(threads.map(partial(sources.handle, batch=batch), invocation.sources))
    result = _result(outcomes)
    if any(each["again"] for each in result["failed"]):
        raise SourcesLeft(result)
    return result


def _client(options: Options) -> Client:
    """The invoker names the URLs, and its own network may be private, so private hosts are allowed.

    Redirects of public servers lead to public addresses only. Never allowed is what returns
    credentials or other invocations: metadata services and the runtime API.
    """
    policy = Policy(allow_private=True, forbidden=options.runtime_api)
    return Client(options.max_download_bytes, options.download_timeout_s, policy)


def _result(outcomes: Sequence[Outcome]) -> Result:
    counts = Counter(each.ended for each in outcomes)
    # Those that may succeed first: they decide what the invocation ends in.
    bad = sorted(
        (each for each in outcomes if each.ended in (Ended.LEFT, Ended.FAILED)),
        key=lambda each: each.ended == Ended.FAILED,
    )
    return {
        "sources": len(outcomes),
        "done": counts[Ended.DONE],
        "not_wanted": counts[Ended.NOT_WANTED],
        "failed": [_failed(each) for each in bad[:_MAX_FAILED]],
    }


def _failed(outcome: Outcome) -> FailedSource:
    return {
        "type": str(outcome.source.type),
        "pk": outcome.source.pk,
        "reason": outcome.reason,
        "again": outcome.ended == Ended.LEFT,
    }
