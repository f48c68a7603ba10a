"""The part of `benchmarks.photos` that runs on one database, in a process of its own."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import django
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.http import QueryDict
from django.test import Client

from benchmarks.report import Figure, percentile

django.setup()

import numpy  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402

from backend.photos import pagination  # noqa: E402
from backend.photos.extraction.results import FaceResult, record  # noqa: E402
from backend.photos.matching import jobs, member_photos  # noqa: E402
from backend.photos.models import Album, Match, Matching, Member, Photo, PhotoFace, Reference  # noqa: E402  # noqa: E402
from benchmarks import photos_rows  # noqa: E402
from benchmarks.photos_rows import Filled  # noqa: E402

PAGES: Final = {
    "the API": "/api/v2/photos/facedetection/matches/",
    "the page": "/members/photos/facedetection/you/",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("faces", type=int)
    parser.add_argument("references", type=int)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    filled = photos_rows.fill(options.faces, options.references)
    note = f"{Match.objects.count():,} matches; {time.monotonic() - began:.0f} s to fill"
    show(Figure("stored faces", options.faces, "", "", note))
    for part in (pages, new_photos, new_references):
        for figure in part(filled):
            show(figure)


def show(figure: Figure) -> None:
    print(json.dumps(asdict(figure)), flush=True)


# --- the page


def pages(filled: Filled) -> Iterator[Figure]:
    """The first page of some members, with how many there are."""
    chosen = random.Random(1).sample(filled.members, min(200, len(filled.members)))
    clients = {member: Client(SERVER_NAME="localhost") for member in chosen}
    for member, client in clients.items():
        client.force_login(User.objects.get(pk=member))
    for what, path in PAGES.items():
        for member in chosen[:20]:
            ask(clients[member], path)
        began_s = time.process_time()
        times = [milliseconds(ask, clients[member], path) for member in chosen]
        note = f"{1000 * (time.process_time() - began_s) / len(times):.1f} ms of it computing here"
        yield Figure(f"my photos, {what}: p50", percentile(times, 50), "ms", "< 30 ms", note)
        yield Figure(f"my photos, {what}: p99", percentile(times, 99), "ms")
    times = [milliseconds(query, member) for member in chosen]
    yield Figure("my photos, the query: p50", percentile(times, 50), "ms")


def ask(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content[:300]


def query(member: int) -> None:
    photos = member_photos.photos_of(Member.objects.get(pk=member))
    page = pagination.page(photos, QueryDict(), order=pagination.NEWEST_PHOTOS, count_with=True)
    assert page.count >= len(page.rows) > 0


# --- one photo more


def new_photos(filled: Filled) -> Iterator[Figure]:
    """A photo with ten faces beside all references: compared, and as a worker does it."""
    album, rng = Album.objects.order_by("pk")[0], numpy.random.default_rng(3)
    compared, whole = [], []
    for number in range(40):
        who = rng.integers(0, len(filled.centres), photos_rows.FACES_A_PHOTO)
        found = [FaceResult(each) for each in photos_rows.encodings(filled.centres, who, rng)]
        photo = Photo.objects.create(album=album, sha256=f"new {number}", file="some.jpg")
        assert record(photo, found, extractor="a benchmark")
        compared.append(milliseconds(jobs.of_photo, photo.pk))
        whole.append(milliseconds(jobs.run, str(Matching.objects.get(photo=photo).pk)))
    references = f"{Reference.objects.count():,} references"
    what = f"a photo with 10 faces beside {references}"
    yield Figure(f"{what}: p50", percentile(compared[5:], 50), "ms", "≤ 10 ms")
    yield Figure("…its pairs written and the work ended too: p50", percentile(whole[5:], 50), "ms")
    wanted, stored = brute(photo.pk), Match.objects.filter(photo=photo).count()
    assert wanted == stored, f"{stored} pairs, but {wanted} when compared one by one"


def brute(photo: int) -> int:
    faces = list(PhotoFace.objects.with_encodings().filter(photo=photo))
    rows = Reference.objects.with_encodings().iterator(500)
    return sum(
        float(numpy.linalg.norm(row.encoding.astype("f8") - face.encoding.astype("f8"))) < 0.49
        for row in rows
        for face in faces
    )


# --- one reference more


def new_references(filled: Filled) -> Iterator[Figure]:
    """A reference beside all faces, while others ask for pages and write."""
    alone = [reference_ms(filled, number) for number in range(6)]
    faces = f"{PhotoFace.objects.count():,} faces"
    yield Figure(f"a reference beside {faces}: median", percentile(alone, 50), "ms", "≤ 1000 ms")
    yield Figure("…the slowest of 6", max(alone), "ms")
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    other = context.Process(target=ask_meanwhile, args=(filled.members[:50], stop, told))
    other.start()
    told.get(timeout=60)
    for number in range(6, 12):
        reference_ms(filled, number)
    stop.set()
    reads, writes = told.get(timeout=60)
    other.join(60)
    yield Figure("…pages meanwhile: p50", percentile(reads, 50), "ms")
    yield Figure("…pages meanwhile: slowest", max(reads), "ms", "", f"of {len(reads)}")
    yield Figure("…writes meanwhile: slowest", max(writes), "ms", "", f"of {len(writes)}")
    fresh = context.Process(target=match_alone, args=(filled, 12, told))
    fresh.start()
    before, after = told.get(timeout=120)
    fresh.join(60)
    yield Figure("…memory it takes in a fresh process", (after - before) / 1024, "MB")


def reference_ms(filled: Filled, number: int) -> float:
    rng = numpy.random.default_rng(1000 + number)
    (look,) = photos_rows.encodings(filled.centres, numpy.array([number]), rng)
    reference = Reference.objects.create(member_id=filled.members[number], sha256="new")
    assert record(reference, [FaceResult(look)], extractor="a benchmark")
    asked = Matching.objects.get(reference=reference)
    took = milliseconds(jobs.run, str(asked.pk))
    assert Match.objects.filter(reference=reference).exists(), "nobody was found"
    return took


def ask_meanwhile(members: Sequence[int], stop: Any, told: Any) -> None:
    """In another process, as a web process would: pages, and now and then a row."""
    connections.close_all()
    reads: list[float] = []
    writes: list[float] = []
    query(members[0])
    told.put("ready")
    while not stop.is_set():
        for member in members[:5]:
            reads.append(milliseconds(query, member))
        writes.append(milliseconds(write, len(writes)))
    told.put((reads, writes))


def match_alone(filled: Filled, number: int, told: Any) -> None:
    """Peak memory in KB before and after one reference is matched."""
    connections.close_all()
    query(filled.members[0])
    before = peak_kb()
    reference_ms(filled, number)
    told.put((before, peak_kb()))


def peak_kb() -> int:
    """Not `ru_maxrss`, which a process takes over from who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmHWM"))
    return int(line.split()[1])


def write(number: int) -> None:
    with transaction.atomic():
        Album.objects.create(title=f"meanwhile {number}")


def milliseconds(work: Callable[..., object], *arguments: Any) -> float:
    began = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    assert connection.vendor in ("sqlite", "postgresql")
    main()
