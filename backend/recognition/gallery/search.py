"""Search among all contacts of all users of a client (docs/search.md has the figures).

On SQLite every face is compared, a block of users at a time. On PostgreSQL the index finds the
nearest faces of all clients, and those of other clients are dropped. So a client with few faces is
searched exactly; for others the index goes on until it has enough (`hnsw.iterative_scan`), and if
it gives up, the search is exact as well. The index finds contacts only: their faces are compared
again, exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy
from cachetools import TTLCache
from django.db import connection, transaction
from django.db.models import Count, Q
from numpy.typing import ArrayLike

from backend.analysis import fields
from backend.analysis.nearest import Matrix, NearOfGroup, as_rows
from backend.recognition.gallery import confidence
from backend.recognition.models import Contact, Face, User

MOST: Final = 50

_BLOCK: Final = 20_000

_EXACT_FACES: Final = 100_000
"""On PostgreSQL a client with at most so many faces is searched exactly, others by the index."""
"""Faces compared at a time, 10 MB; a single larger gallery is one block."""

_USERS: Final = 10_000
"""Users of a statement, because SQLite takes some 32 000 parameters."""

_MARGIN: Final = 5
"""Additional contacts from pgvector, because its distances are float32 and ours decide."""

FACES_A_CONTACT: Final = 8

_many: Final[TTLCache[int, bool]] = TTLCache(1000, ttl=60)
"""Sets of users known to have many faces: counting 100 000 takes longer than the index."""

_many_lock: Final = threading.Lock()

INDEX_OPTIONS: Final[Mapping[str, str]] = {
    "hnsw.ef_search": "400",
    "hnsw.iterative_scan": "strict_order",
    "hnsw.max_scan_tuples": "40000",
}
"""Chosen by measurement: `benchmarks.recognition`."""


@dataclass(frozen=True)
class Match:
    """A contact of one of the client's users; `user`, `contact` and `face` are primary keys."""

    user: int
    contact: int
    face: int
    distance: float
    confidence: float


def best(owner_id: int, encoding: ArrayLike, *, model: str, at_most: int) -> list[Match]:
    """The nearest contacts of all the client's users, nearest first, without unknown ones.

    Contacts of several users may be one person, so another contact makes none less likely.
    """
    # Of a user that does not exist yet an import is under way.
    users = list(User.objects.filter(owner_id=owner_id, exists=True).values_list("pk", flat=True))
    near = nearest(users, encoding, model=model, at_most=at_most) if users else []
    curve = confidence.curve(model)
    count = Contact.objects.filter(user__owner=owner_id, user__exists=True).count() if near else 0
    found = []
    owners = dict(
        Contact.objects.filter(pk__in=[each.group for each in near]).values_list("pk", "user")
    )
    for group, id, distance in near:
        sure = confidence.estimate(distance, None, contacts=count, by=curve)
        if group in owners and not confidence.is_unknown(sure):
            found.append(Match(owners[group], group, id, distance, sure))
    return found


def nearest(
    users: Sequence[int], encoding: ArrayLike, *, model: str, at_most: int
) -> list[NearOfGroup]:
    """The nearest face of each of the nearest contacts of `users`; groups are contacts."""
    if connection.vendor != "postgresql":
        return exactly(users, encoding, model=model, at_most=at_most)
    probe = as_rows(numpy.atleast_2d(encoding))[0]
    found = _contacts_found(users, probe.tolist(), model, at_most + _MARGIN)
    rows = Face.objects.filter(is_indexed=True, model=model, contact__in=found).order_by()
    return _of_block(rows, probe, at_most)


def exactly(
    users: Sequence[int], encoding: ArrayLike, *, model: str, at_most: int
) -> list[NearOfGroup]:
    """`nearest` by comparing every face."""
    found: list[NearOfGroup] = []
    for block in _blocks(users):
        rows = Face.objects.filter(is_indexed=True, model=model, user__in=block).order_by()
        found += _of_block(rows, encoding, at_most)
    return sorted(found, key=lambda each: (each.distance, each.id))[:at_most]


def _of_block(rows: Any, encoding: ArrayLike, at_most: int) -> list[NearOfGroup]:
    integers, encodings = fields.read_many(rows, "pk", "contact_id")
    matrix = Matrix.of(encodings, integers[:, 0])
    return matrix.nearest_of_groups(encoding, integers[:, 1], at_most)


def _blocks(users: Sequence[int]) -> Iterator[list[int]]:
    """The users in blocks of about `_BLOCK` faces, each user in one of them."""
    block, size = list[int](), 0
    for pk, faces in _sizes(users):
        if block and size + faces > _BLOCK:
            yield block
            block, size = [], 0
        block.append(pk)
        size += faces
    if block:
        yield block


def _sizes(users: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The users with faces, and their numbers of faces."""
    for start in range(0, len(users), _USERS):
        some = User.objects.filter(pk__in=users[start : start + _USERS])
        counted = some.annotate(size=Count("faces", filter=Q(faces__is_indexed=True)))
        yield from counted.filter(size__gt=0).order_by("pk").values_list("pk", "size")


def _contacts_found(
    users: Sequence[int], probe: list[float], model: str, at_most: int
) -> Sequence[int]:
    """Primary keys of the nearest contacts, by pgvector."""
    which: dict[str, Any] = {
        "users": list(users),
        "model": model,
        "probe": str(probe),
        "limit": at_most,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        indexed = len(probe) in fields.INDEXED_DIMENSIONS and _are_many(cursor, users)
        if indexed and (found := by_index(cursor, which, len(probe))) is not None:
            return found
        cursor.execute(EXACT, which)
        return [contact for (contact,) in cursor.fetchall()]


def _are_many(cursor: Any, users: Sequence[int]) -> bool:
    """Whether these users have so many faces that the index is worth it."""
    key = hash((_EXACT_FACES, *users))
    with _many_lock:
        if key in _many:
            return True
    cursor.execute(_COUNTED, {"users": list(users), "limit": _EXACT_FACES + 1})
    (count,) = cursor.fetchone()
    if count > _EXACT_FACES:
        with _many_lock:
            _many[key] = True
    return bool(count > _EXACT_FACES)


def by_index(cursor: Any, which: dict[str, Any], dimensions: int = 128) -> list[int] | None:
    """`limit` different contacts by the index of encodings of that size; None if there are fewer.

    The index gives up (`hnsw.max_scan_tuples`), so there may be more.
    """
    for name, value in INDEX_OPTIONS.items():
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
    # All faces of the other contacts may be nearer than the best face of the last one.
    faces = which["limit"] * FACES_A_CONTACT
    cursor.execute(by_index_sql(dimensions), {**which, "limit": faces})
    nearest = dict.fromkeys(contact for (contact,) in cursor.fetchall())
    return list(nearest)[: which["limit"]] if len(nearest) >= which["limit"] else None


_WHERE: Final = "is_indexed AND model = %(model)s AND user_id = ANY(%(users)s::bigint[])"
_COUNTED: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM recognition_face"
    " WHERE is_indexed AND user_id = ANY(%(users)s::bigint[]) LIMIT %(limit)s) AS counted"
)
EXACT: Final = (
    f"SELECT contact_id FROM recognition_face WHERE {_WHERE} GROUP BY contact_id"
    " ORDER BY min(encoding <-> %(probe)s::vector), contact_id LIMIT %(limit)s"
)


def by_index_sql(dimensions: int) -> str:
    """The statement of `by_index`, as the index of encodings of that size wants it."""
    return (
        f"SELECT contact_id FROM recognition_face WHERE {_WHERE}"
        f" AND vector_dims(encoding) = {dimensions}"
        f" ORDER BY {fields.distance_sql(dimensions)} LIMIT %(limit)s"
    )
