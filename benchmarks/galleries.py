"""The parts of `benchmarks.recognition` that need Django's models: galleries of made-up faces.

The faces are drawn like those of dlib's model: all people lie round one point of length 1.33, two
of them 0.79 apart on average, two pictures of one of them 0.42. These three were measured on nine
photos with 43 faces and on LFW's published errors (docs/confidence.md). Real faces vary in fewer
directions than 128, so that an index has it easier with them than here.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from numpy.typing import NDArray

from backend import databases
from backend.analysis.nearest import Matrix, as_rows
from backend.clients.models import ANONYMOUS_ID
from backend.recognition.gallery import cache, search
from backend.recognition.models import Contact, Face, User
from benchmarks.report import Figure, percentile
from tests.support.postgres_server import PostgresServer

MODEL: Final = "made-up"
A_CONTACT: Final = 10
"""Faces of each contact."""

_COMMON, _PERSON, _PICTURE = 1.33, 0.473, 0.297
_BATCH: Final = 2000

Rows = NDArray[numpy.float32]

_random = numpy.random.default_rng(1)
_centre = _random.normal(size=128)
_centre *= _COMMON / numpy.linalg.norm(_centre)


def people(count: int) -> Rows:
    return as_rows(_centre + _PERSON / 128**0.5 * _random.normal(size=(count, 128)))


def pictures_of(those: Rows) -> Rows:
    return as_rows(those + _PICTURE / 128**0.5 * _random.normal(size=those.shape))


@contextmanager
def database(url: str, folder: Path) -> Iterator[None]:
    """Django on the PostgreSQL at `url`, or on SQLite in `folder`."""
    settings.DATABASES = {"default": databases.configuration(url, sqlite=folder / "db.sqlite3")}
    connections.settings = connections.configure_settings(settings.DATABASES)
    del connections["default"]
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


# --- one user's gallery, on SQLite


def galleries(sizes: Sequence[int], probes: int, folder: Path) -> Iterator[Figure]:
    """Recognise in galleries of so many faces: kept in memory, and read anew."""
    goals = {100: "≤ 2 ms", 10_000: "≤ 5 ms", 100_000: "≤ 30 ms"}
    with database("", folder):
        for size in sizes:
            user, those = user_with(size)
            each = list(pictures_of(those[_random.integers(0, len(those), probes)]))
            best_ms(user, each[0])
            warm = [best_ms(user, probe) for probe in each]
            what = f"recognise among {size:,} faces"
            yield Figure(f"{what}: p50", percentile(warm, 50), "ms", goals.get(size, ""))
            yield Figure(f"{what}: p99", percentile(warm, 99), "ms")
            cold = [cold_ms(user, probe) for probe in each[: max(3, probes // 20)]]
            yield Figure(f"{what}, read anew: p50", percentile(cold, 50), "ms")
            changed = [changed_ms(user, those[:1], probe) for probe in each[: max(3, probes // 20)]]
            yield Figure(f"{what}, one face more: p50", percentile(changed, 50), "ms")


def user_with(size: int) -> tuple[User, Rows]:
    user = User.objects.create(owner_id=ANONYMOUS_ID, user_id=size, exists=True)
    those = people(max(1, size // A_CONTACT))
    contacts = Contact.objects.bulk_create(
        (Contact(user=user, contact_id=number) for number in range(len(those))), batch_size=_BATCH
    )
    for start in range(0, size, _BATCH):
        numbers = numpy.arange(start, min(size, start + _BATCH))
        rows = zip(numbers.tolist(), pictures_of(those[numbers % len(those)]), strict=True)
        Face.objects.bulk_create(face(user, contacts[n % len(those)], n, row) for n, row in rows)
    return user, those


def face(user: User, contact: Contact, number: int, encoding: Rows) -> Face:
    kept = {"is_face": True, "is_indexed": True, "model": MODEL, "score": 1.0}
    return Face(user=user, contact=contact, face_id=number, encoding=encoding, **kept)


def best_ms(user: User, probe: Rows) -> float:
    began = time.perf_counter()
    cache.identify(user, probe, model=MODEL)
    return 1000 * (time.perf_counter() - began)


def cold_ms(user: User, probe: Rows) -> float:
    cache.cache.clear()
    return best_ms(user, probe)


def changed_ms(user: User, those: Rows, probe: Rows) -> float:
    contact = Contact.objects.filter(user=user).earliest("pk")
    face(user, contact, -time.monotonic_ns(), pictures_of(those)[0]).save()
    user.gallery_version += 1
    user.save()
    return best_ms(user, probe)


# --- all users of a client, on PostgreSQL

_A_USER: Final = 100
"""Faces of each user."""

WAYS: Final = {
    "index alone, ef_search 40": {"hnsw.ef_search": "40", "hnsw.iterative_scan": "off"},
    "index alone, ef_search 200": {"hnsw.ef_search": "200", "hnsw.iterative_scan": "off"},
    "iterative, relaxed, ef_search 100": {
        "hnsw.ef_search": "100",
        "hnsw.iterative_scan": "relaxed_order",
    },
    "iterative, strict, ef_search 100": {
        "hnsw.ef_search": "100",
        "hnsw.iterative_scan": "strict_order",
    },
    "iterative, strict, ef_search 200": {
        "hnsw.ef_search": "200",
        "hnsw.iterative_scan": "strict_order",
    },
    "iterative, strict, ef_search 400": {
        "hnsw.ef_search": "400",
        "hnsw.iterative_scan": "strict_order",
    },
}
SHARES: Final = (1.0, 0.1, 0.01, 0.0001)


def searching(size: int, probes: int, folder: Path) -> Iterator[Figure]:
    """Search among `size` faces of all clients, for clients that hold this share of them."""
    with PostgresServer() as server, database(server.create_database(), folder):
        those, rows, users = filled(size)
        contacts = numpy.arange(size) % len(those)
        yield Figure(f"fill the index with {size:,} faces", index_s(), "s")
        pk_of = dict(enumerate(Contact.objects.order_by("contact_id").values_list("pk", flat=True)))
        for share in SHARES:
            held = max(1, round(share * len(users)))
            # A user's faces are those of ten contacts: of as many people as it has tens.
            mine = numpy.isin(contacts, numpy.arange(held * _A_USER // A_CONTACT))
            matrix, groups = Matrix.of(rows[mine], numpy.flatnonzero(mine)), contacts[mine]
            people_held = those[: held * _A_USER // A_CONTACT]
            asked = pictures_of(people_held[_random.integers(0, len(people_held), probes)])
            exact = [
                [pk_of[each.group] for each in matrix.nearest_of_groups(probe, groups, 3)]
                for probe in asked
            ]
            what = f"client with {share:.2%} of {size:,}"
            for way, found, took in ways(users[:held], asked):
                yield Figure(f"{what}, {way}: p50", percentile(took, 50), "ms")
                for k in (1, 3):
                    yield Figure(f"…recall@{k}", recall(found, exact, k), "")


def ways(users: list[int], asked: Rows) -> Iterator[tuple[str, list[list[int]], list[float]]]:
    """Each way to search: its name, the contacts that it found, and how long it took in ms."""
    for way, options in WAYS.items():
        yield timed(way, asked, partial(by_index, users, options))
    yield timed(
        "every face, in SQL", asked[: max(5, len(asked) // 10)], lambda p: exactly(users, p)
    )
    yield timed("as the service does", asked, partial(as_served, users))


def timed(
    way: str, asked: Rows, do: Callable[[Rows], list[int]]
) -> tuple[str, list[list[int]], list[float]]:
    found, took = list[list[int]](), list[float]()
    do(asked[0])
    for probe in asked:
        began = time.perf_counter()
        found.append(do(probe))
        took.append(1000 * (time.perf_counter() - began))
    return way, found, took


def by_index(users: list[int], options: dict[str, str], probe: Rows) -> list[int]:
    with connection.cursor() as cursor:
        for name, value in {**options, "hnsw.max_scan_tuples": "40000"}.items():
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])
        cursor.execute(search.by_index_sql(128), which(users, probe, 3 * search.FACES_A_CONTACT))
        return list(dict.fromkeys(contact for (contact,) in cursor.fetchall()))[:3]


def exactly(users: list[int], probe: Rows) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(search.EXACT, which(users, probe, 3))
        return [contact for (contact,) in cursor.fetchall()]


def as_served(users: list[int], probe: Rows) -> list[int]:
    found = search.nearest(users, probe, model=MODEL, at_most=3)
    return [each.group for each in found]


def which(users: list[int], probe: Rows, limit: int) -> dict[str, Any]:
    return {"users": users, "model": MODEL, "probe": str(probe.tolist()), "limit": limit}


def recall(found: list[list[int]], exact: list[list[int]], k: int) -> float:
    pairs = list(zip(found, exact, strict=False))
    hits = sum(len(set(some[:k]) & set(all_[:k])) for some, all_ in pairs)
    return hits / sum(len(all_[:k]) for _, all_ in pairs)


def filled(size: int) -> tuple[Rows, Rows, list[int]]:
    """People, faces and users' keys; face n shows person n modulo the number of people."""
    those = people(size // A_CONTACT)
    rows = numpy.concatenate(
        [
            pictures_of(those[start : start + 50_000])
            for _ in range(A_CONTACT)
            for start in range(0, len(those), 50_000)
        ]
    )
    users = User.objects.bulk_create(
        (User(owner_id=ANONYMOUS_ID, user_id=n, exists=True) for n in range(size // _A_USER)),
        batch_size=_BATCH,
    )
    keys = [user.pk for user in users]
    a_user = _A_USER // A_CONTACT
    Contact.objects.bulk_create(
        (Contact(user_id=keys[n // a_user], contact_id=n) for n in range(len(those))),
        batch_size=_BATCH,
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX gallery_face_nearest_128")
        cursor.execute("CREATE TEMP TABLE made (n bigint, encoding vector(128))")
        with cursor.copy("COPY made FROM STDIN (FORMAT BINARY)") as copy:
            for block in in_binary(rows):
                copy.write(block)
        cursor.execute(_INSERT, {"people": len(those), "model": MODEL})
        cursor.execute("DROP TABLE made")
        cursor.execute("VACUUM ANALYZE recognition_face")
    return those, rows, keys


_INSERT: Final = """
INSERT INTO recognition_face (contact_id, user_id, face_id, face_url, score, is_face, encoding,
                              model, sha256, is_indexed, note, created_at)
SELECT c.id, c.user_id, made.n, '', 1, true, made.encoding, %(model)s, '', true, '', now()
FROM made JOIN recognition_contact AS c ON c.contact_id = made.n %% %(people)s ORDER BY random()
"""


def in_binary(rows: Rows) -> Iterator[bytes]:
    """As COPY wants a bigint and a vector (see COPY in PostgreSQL's manual)."""
    numbers = [("fields", ">i2"), ("long", ">i4"), ("n", ">i8")]
    vector = [("size", ">i4"), ("dim", ">i2"), ("unused", ">i2"), ("row", ">f4", 128)]
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    for start in range(0, len(rows), 10_000):
        some = rows[start : start + 10_000]
        block = numpy.zeros(len(some), numpy.dtype([*numbers, *vector]))
        block["fields"], block["long"], block["size"], block["dim"] = 2, 8, 516, 128
        block["n"], block["row"] = numpy.arange(start, start + len(some)), some
        yield block.tobytes()
    yield b"\xff\xff"


def index_s() -> float:
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1500MB'")
        cursor.execute(
            "CREATE INDEX gallery_face_nearest_128 ON recognition_face"
            " USING hnsw ((encoding::vector(128)) vector_l2_ops)"
            " WHERE is_indexed AND vector_dims(encoding) = 128"
        )
        cursor.execute("ANALYZE recognition_face")
    return time.perf_counter() - began
