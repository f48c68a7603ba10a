"""Keyset pagination: a page is found by the row before it, so each costs what the first does.

`next` and `previous` carry an opaque cursor, by which no row is skipped or repeated when others are
added or deleted. `limit` and `offset`, as the old system had them, work as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import urlencode

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
    """Rows, and the query strings of the neighbouring pages; empty if there is none."""

    rows: list[M]
    count: int
    next: str
    previous: str


def page(
    rows: QuerySet[M], query: QueryDict, *, order: Sequence[str], count_with: bool = False
) -> Page[M]:
    """The page of `rows` that `query` asks for. Raises `ValidationError`.

    With `count_with` the statement that reads the first page counts the rows as well: for lists of
    which the database has to find all rows before it knows the first.
    """
    at = _position(query, order)
    counts = count_with and at.is_first
    if counts:
        rows = cast("QuerySet[M]", rows.annotate(counted_with=Window(Count("*"))))
    found = at.read(rows)
    counted = getattr(found[0], "counted_with", 0) if found else 0
    shown, more = found[: at.limit], len(found) > at.limit
    if at.backwards:
        shown.reverse()
    has_next = more or at.backwards
    has_previous = more if at.backwards else not at.is_first
    return Page(
        rows=shown,
        count=counted if counts else rows.count(),
        next=at.link(shown[-1:], backwards=False) if has_next else "",
        previous=at.link(shown[:1], backwards=True) if has_previous else "",
    )


@dataclass(frozen=True)
class _Position:
    """Where a page begins: behind a row, known by the `values` of its ordering, or at an offset."""

    order: Sequence[str]
    limit: int
    offset: int
    values: Sequence[Any]
    backwards: bool

    @property
    def is_first(self) -> bool:
        return not self.values and not self.offset

    def read(self, rows: QuerySet[M]) -> list[M]:
        """The rows of the page in reading direction, and one more if there is one."""
        order = [_turned(name) for name in self.order] if self.backwards else self.order
        rows = rows.order_by(*order)
        if self.values:
            rows = rows.filter(_after(order, self.values))
        return list(rows[self.offset : self.offset + self.limit + 1])

    def link(self, row: Sequence[M], *, backwards: bool) -> str:
        """The query that leads on from this row; empty if there is none."""
        if not row:
            return ""
        paths = [name.lstrip("-").replace("__", ".") for name in self.order]
        values = [_plain(attrgetter(path)(row[0])) for path in paths]
        cursor = signing.dumps([int(backwards), *values], salt=_salt(self.order), compress=True)
        return urlencode({"cursor": cursor, "limit": self.limit})


def _position(query: QueryDict, order: Sequence[str]) -> _Position:
    limit = _number(query, "limit", default=_DEFAULT, at_least=1, at_most=_MOST)
    offset = _number(query, "offset", default=0, at_least=0, at_most=_MOST_OFFSET)
    cursor = query.get("cursor", "")
    values, backwards = _opened(cursor, order) if cursor else ([], False)
    return _Position(order, limit, offset, values, backwards)


def _opened(cursor: str, order: Sequence[str]) -> tuple[list[Any], bool]:
    try:
        backwards, *values = signing.loads(cursor, salt=_salt(order))
    except (signing.BadSignature, ValueError):
        backwards, values = 0, []
    if len(values) != len(order):
        raise ValidationError({"cursor": ["Take it from `next` or `previous`."]})
    return values, bool(backwards)


def _salt(order: Sequence[str]) -> str:
    """A cursor is valid for lists of this ordering only."""
    return f"{_SALT}:{','.join(order)}"


def _after(order: Sequence[str], values: Sequence[Any]) -> Q:
    """The rows behind the one with these values, in this order."""
    ways, same = [], Q()
    for name, value in zip(order, values, strict=True):
        ways.append(same & _beyond(name, value))
        same &= Q(**{name.lstrip("-"): value})
    # The first column once more, so that the database can begin with its index.
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
