"""Pages of a list, each found by the row before it: the thousandth costs what the first does.

`limit` and `offset`, as the old system had them, work as well; `next` and `previous` lead on by
cursor, which is opaque, and skips and repeats nothing when rows come or go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar, cast

from django.core import signing
from django.db.models import Count, Model, Q, QuerySet, Window
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

M = TypeVar("M", bound=Model)

_DEFAULT: Final = 50
_MOST: Final = 200
_MOST_OFFSET: Final = 1_000_000
_SALT: Final = "backend.photos.pagination"

NEWEST_ALBUMS: Final = ("-date", "-pk")
IN_ALBUM: Final = ("taken_at", "pk")
NEWEST_PHOTOS: Final = ("-album__date", "-album_id", "taken_at", "pk")


@dataclass(frozen=True)
class Page(Generic[M]):
    """Rows, and the queries that lead on from them; empty where nothing does."""

    rows: list[M]
    count: int
    next: str
    previous: str


def page(
    rows: QuerySet[M], query: QueryDict, *, order: Sequence[str], count_with: bool = False
) -> Page[M]:
    """The page of `rows` that `query` asks for. Raises `ValidationError`.

    With `count_with` the rows of the first page are counted by the statement that reads it: for
    lists of which the database has to find all rows before it knows the first.
    """
    limit = _number(query, "limit", default=_DEFAULT, at_least=1, at_most=_MOST)
    offset = _number(query, "offset", default=0, at_least=0, at_most=_MOST_OFFSET)
    cursor = query.get("cursor", "")
    values, backwards = _opened(cursor, order) if cursor else ([], False)
    directed = [_turned(name) for name in order] if backwards else list(order)
    wanted = rows.order_by(*directed)
    if values:
        wanted = wanted.filter(_after(directed, values))
    if count_with and not values:
        wanted = cast("QuerySet[M]", wanted.annotate(counted_with=Window(Count("*"))))
    found = list(wanted[offset : offset + limit + 1])
    is_first = not values and not offset
    counted: int | None = getattr(found[0], "counted_with", None) if found else None
    if counted is None:  # an empty page has no row that could tell
        counted = 0 if is_first and not found else rows.count()
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    ends = (more or backwards, more if backwards else not is_first)
    return Page(
        rows=found,
        count=counted,
        next=_leads_on(found[-1:], order, limit) if ends[0] else "",
        previous=_leads_on(found[:1], order, limit, backwards=True) if ends[1] else "",
    )


def _leads_on(
    row: Sequence[M], order: Sequence[str], limit: int, *, backwards: bool = False
) -> str:
    if not row:
        return ""
    values = [_plain(attrgetter(name.lstrip("-").replace("__", "."))(row[0])) for name in order]
    cursor = signing.dumps([int(backwards), *values], salt=_salt(order), compress=True)
    made = QueryDict(mutable=True)
    made["cursor"] = cursor
    made["limit"] = str(limit)
    return made.urlencode()


def _opened(cursor: str, order: Sequence[str]) -> tuple[list[Any], bool]:
    try:
        backwards, *values = signing.loads(cursor, salt=_salt(order))
    except (signing.BadSignature, ValueError):
        backwards, values = 0, []
    if len(values) != len(order):
        raise ValidationError({"cursor": ["Take it from `next` or `previous`."]})
    return values, bool(backwards)


def _salt(order: Sequence[str]) -> str:
    """A cursor of another list, whose values are others, is as good as none."""
    return f"{_SALT}:{','.join(order)}"


def _after(order: Sequence[str], values: Sequence[Any]) -> Q:
    """What comes behind the row with these values, in this order."""
    ways, same = [], Q()
    for name, value in zip(order, values, strict=True):
        ways.append(same & _beyond(name, value))
        same &= Q(**{name.lstrip("-"): value})
    # Said once more of the first column, by which the database can begin.
    return _beyond(order[0], value=values[0], or_same=True) & reduce(lambda a, b: a | b, ways)


def _beyond(name: str, value: Any, *, or_same: bool = False) -> Q:
    lookup = ("lt" if name.startswith("-") else "gt") + ("e" if or_same else "")
    return Q(**{f"{name.lstrip('-')}__{lookup}": value})


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _number(query: QueryDict, name: str, *, default: int, at_least: int, at_most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < at_least:
        raise ValidationError({name: [f"Give a number from {at_least} to {at_most}."]})
    return min(int(text), at_most)
