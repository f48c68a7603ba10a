"""Which events a subscriber gets: small predicates that combine."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from wire.events import Entry, Outcome

Filter: TypeAlias = Callable[[Entry], bool]
"""Whether a subscriber gets this event."""


def outcome_in(outcomes: Collection[Outcome]) -> Filter:
    """Events of submissions that ended in one of these ways."""
    chosen = frozenset(outcomes)
    return lambda entry: entry["outcome"] in chosen


def of_submission(submission_id: str) -> Filter:
    """The event of one submission."""
    return lambda entry: entry["submission_id"] == submission_id


def of_owner(owner: str) -> Filter:
    """Events of one client's submissions."""
    return lambda entry: entry["owner"] == owner


def all_of(*filters: Filter) -> Filter:
    """Events that pass every one of these."""
    if len(filters) == 1:
        return filters[0]
    return lambda entry: all(passes(entry) for passes in filters)
