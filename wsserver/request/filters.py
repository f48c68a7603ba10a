"""Which events a client receives."""

from collections.abc import Callable
from typing import TypeAlias

from wire.events import Entry, Outcome
from wsserver.request.query import Options

Filter: TypeAlias = Callable[[Entry], bool]
"""Whether a client receives this event."""


def build_filter(options: Options, *, owner: str) -> Filter:
    """The filter for these options of a client that may receive the events of `owner`."""
    submission_id = options.submission_id
    default = {Outcome.FACES} if submission_id is None else frozenset(Outcome)
    outcomes = options.outcomes or default

    def passes(entry: Entry) -> bool:
        if submission_id is not None and entry["submission_id"] != submission_id:
            return False
        return entry["owner"] == owner and entry["outcome"] in outcomes

    return passes
