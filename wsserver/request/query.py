"""The query parameters of `/faces`: parsing and validation, without I/O."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from wire.events import BEGINNING, OF_SUBMISSIONS, EventId, Outcome, parse_event_id

OPTIONS: Final = ("outcomes", "submission", "since", "token")
"""The names of all options."""

_MAX_OPTIONS: Final = 10


class OptionError(Exception):
    """An invalid option; `errors` is the body of the response."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.errors: Final[Mapping[str, list[str]]] = {option: [message]}


@dataclass(frozen=True)
class Since:
    """The point after which events are wanted.

    `is_moment`: a bare number of milliseconds, which may be any moment. With a sequence it is the
    id of an event, which the client has received.
    """

    after: EventId
    is_moment: bool


@dataclass(frozen=True)
class Options:
    """The options of one connection; None: not given."""

    outcomes: frozenset[Outcome] | None = None
    submission_id: str | None = None
    since: Since | None = None
    token: str | None = None


def parse_options(query: str) -> Options:
    """Parse the query; raises `OptionError` for an unknown, repeated or malformed option."""
    given = _pairs(query)
    for name in given:
        if name not in OPTIONS:
            raise OptionError(name[:50], f"Unknown option. Options are: {', '.join(OPTIONS)}.")
    return Options(
        outcomes=_outcomes(given["outcomes"]) if "outcomes" in given else None,
        submission_id=_submission(given["submission"]) if "submission" in given else None,
        since=_since(given["since"]) if "since" in given else None,
        token=given.get("token"),
    )


def _pairs(query: str) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_OPTIONS)
    except ValueError as error:
        raise OptionError("query", "There are too many options.") from error
    given = dict(pairs)
    for name, _value in pairs:
        if sum(other == name for other, _ in pairs) > 1:
            raise OptionError(name[:50], "Give this option once.")
    return given


def _outcomes(text: str) -> frozenset[Outcome]:
    if text == "all":
        return OF_SUBMISSIONS
    try:
        return frozenset(Outcome(name.strip()) for name in text.split(","))
    except ValueError as error:
        names = ", ".join(Outcome)
        raise OptionError("outcomes", f"Give all, or some of these: {names}.") from error


def _submission(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise OptionError("submission", "Give the id of a submission, a UUID.") from error


def _since(text: str) -> Since:
    try:
        after = parse_event_id(text)
    except ValueError as error:
        raise OptionError("since", "Give an event_id, like 1732896102763-0.") from error
    return Since(after, is_moment="-" not in text or after == BEGINNING)
