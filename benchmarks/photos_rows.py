"""Rows for `benchmarks.photos`: members, references, and photos of them and of strangers.

Encodings are made up so as dlib's lie: a person's 0.28 from each other, people's 0.8 apart. What
would take hours to match is written as matching would leave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final

import numpy
from django.contrib.auth.models import User
from django.db import connection, transaction
from numpy.typing import NDArray

from backend.photos.models import Album, Extraction, Match, Member, Photo, PhotoFace, Reference

FACES_A_PHOTO: Final = 10
REFERENCES_EACH: Final = 4
_PHOTOS_AN_ALBUM: Final = 500
_STRANGER_FACES: Final = 50
_FAR: Final = 0.2
_CHUNK: Final = 20_000

Floats = NDArray[numpy.float32]
Integers = NDArray[numpy.int64]

# As COPY takes it: the number of fields, then each with its length; a vector has a head of its own.
_COPIED: Final = numpy.dtype(
    [
        ("fields", ">i2"),
        *[(name, kind) for field in ("photo", "index") for name, kind in (
            (f"{field}_length", ">i4"), (field, ">i8" if field == "photo" else ">i4")
        )],
        ("vector_length", ">i4"),
        ("dimensions", ">i2"),
        ("unused", ">i2"),
        ("encoding", ">f4", 128),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Filled:
    """What is there: ids of members, and who the people are."""

    members: list[int]
    centres: Floats


def encodings(centres: Floats, who: Integers, rng: numpy.random.Generator) -> Floats:
    """One for each of `who`, at `_FAR` from their centre."""
    aside = rng.standard_normal((len(who), 128), numpy.float32)
    aside *= _FAR / numpy.linalg.norm(aside, axis=1, keepdims=True)
    found: Floats = centres[who] + aside
    return found


def fill(faces: int, references: int) -> Filled:
    """Fill an empty database; half of the faces are members'."""
    rng = numpy.random.default_rng(7)
    members, strangers = references // REFERENCES_EACH, faces // 2 // _STRANGER_FACES
    centres = rng.normal(0, 0.05, (members + strangers, 128)).astype("f4")
    who = numpy.where(
        rng.random(faces) < 0.5,
        rng.integers(0, members, faces),
        rng.integers(members, members + strangers, faces),
    )
    ids = _members(members)
    of_references = numpy.arange(members * REFERENCES_EACH) % members
    looks = encodings(centres, of_references, rng)
    reference_ids = _references(ids, of_references, looks)
    photos = _photos(faces // FACES_A_PHOTO)
    seen = encodings(centres, who, rng)
    face_ids = _faces(photos, seen)
    _insert(Match, ("reference_id", "face_id", "photo_id", "distance"), _matches(
        members, who, seen, face_ids, photos, looks, reference_ids
    ))  # fmt: skip
    _analyse()
    return Filled(ids, centres)


def _members(count: int) -> list[int]:
    users = [User(username=f"member {number}", password="!") for number in range(count)]
    made = User.objects.bulk_create(users, batch_size=500)
    Member.objects.bulk_create([Member(user=user) for user in made], batch_size=500)
    return [user.pk for user in made]


def _references(ids: Sequence[int], of: Integers, looks: Floats) -> list[int]:
    made = Reference.objects.bulk_create(
        (
            Reference(
                member_id=ids[who],
                sha256="0" * 64,
                file="references/some.jpg",
                extraction=Extraction.DONE,
                status="done",
                processed_at="2026-01-01T00:00Z",
                encoding=look,
            )
            for who, look in zip(of.tolist(), looks, strict=True)
        ),
        batch_size=200,
    )
    return [reference.pk for reference in made]


def _photos(count: int) -> list[int]:
    albums = [
        Album(title=f"album {number}", date=date(2015, 1, 1) + timedelta(number * 3))
        for number in range(-(-count // _PHOTOS_AN_ALBUM))
    ]
    made = Album.objects.bulk_create(albums)
    found: list[int] = []
    for number, album in enumerate(made):
        photos = [
            Photo(
                album=album,
                sha256=f"{index:064d}",
                name=f"photo {index}",
                file="photos/72/46/7246f927-0000-0000-0000-000000000000.jpg",
                extraction=Extraction.DONE,
                status="done",
                processed_at="2026-01-01T00:00Z",
                faces_count=FACES_A_PHOTO,
            )
            for index in range(min(_PHOTOS_AN_ALBUM, count - number * _PHOTOS_AN_ALBUM))
        ]
        found += [photo.pk for photo in Photo.objects.bulk_create(photos, batch_size=100)]
    return found


def _faces(photos: Sequence[int], seen: Floats) -> list[int]:
    of = numpy.repeat(numpy.array(photos), FACES_A_PHOTO)
    index = numpy.tile(numpy.arange(FACES_A_PHOTO), len(photos))
    for start in range(0, len(of), _CHUNK):
        some = slice(start, start + _CHUNK)
        _insert_faces(of[some], index[some], seen[some])
    return list(PhotoFace.objects.order_by("pk").values_list("pk", flat=True))


def _insert_faces(of: Integers, index: Integers, seen: Floats) -> None:
    table = PhotoFace._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            rows = numpy.zeros(len(of), _COPIED)
            rows["fields"], rows["photo_length"], rows["index_length"] = 3, 8, 4
            rows["vector_length"], rows["dimensions"] = 4 + 4 * 128, 128
            rows["photo"], rows["index"], rows["encoding"] = of, index, seen
            into = f'COPY {table} (photo_id, "index", encoding) FROM STDIN (FORMAT BINARY)'
            with cursor.copy(into) as copy:
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")
            return
        cursor.executemany(
            f'INSERT INTO {table} (photo_id, "index", encoding) VALUES (%s, %s, %s)',
            list(zip(of.tolist(), index.tolist(), map(bytes, seen), strict=True)),
        )


def _matches(
    members: int,
    who: Integers,
    seen: Floats,
    face_ids: Sequence[int],
    photos: Sequence[int],
    looks: Floats,
    reference_ids: Sequence[int],
) -> Iterator[tuple[int, int, int, float]]:
    order = numpy.argsort(who, kind="stable")
    bounds = numpy.searchsorted(who[order], numpy.arange(members + 1))
    for member in range(members):
        faces = order[bounds[member] : bounds[member + 1]]
        for number in range(member, len(looks), members):
            distances = numpy.linalg.norm(seen[faces] - looks[number], axis=1)
            for face, distance in zip(faces.tolist(), distances.tolist(), strict=True):
                if distance < 0.49:
                    photo = photos[face // FACES_A_PHOTO]
                    yield reference_ids[number], face_ids[face], photo, distance


def _insert(model: Any, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    table, names = model._meta.db_table, ", ".join(columns)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(columns))
        while some := list(islice(rows, _CHUNK)):
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", some)


def _analyse() -> None:
    """As PostgreSQL does by itself after a while."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "SELECT 1")
