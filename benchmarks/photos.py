"""Photos of members: one table.

    python -m benchmarks.photos [--quick] [--json FILE] [--only sqlite,postgresql,album]
                                [--images FOLDER]

A database of each kind is filled with faces on photos and ten thousand references, in a folder of
its own, and asked: a million faces on PostgreSQL, a hundred thousand on SQLite, which is meant for
no more. An album goes through a service of its own (nginx, backend, two
workers, Redis, SQLite), beside `face_recognition` in one bare process on the same files; its
pictures are composed of the tests' faces, and of the JPEGs in `--images` where that is given.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.report import Figure, show
from benchmarks.service import jpeg, unlike
from tests.support import image_factories
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.stack import Stack, wait_until
from wire import environment

_KINDS: Final = (("obama.jpg",), ("biden.jpg",), ("obama.jpg", "biden.jpg"), ("obama2.jpg",))


def on_database(kind: str, faces: int, references: int) -> Iterator[Figure]:
    """Matching and pages on a database of that kind."""
    with ExitStack() as rest:
        folder = rest.enter_context(tempfile.TemporaryDirectory(prefix="faces-benchmark-"))
        url = ""
        if kind == "postgresql":
            url = rest.enter_context(PostgresServer()).create_database()
        redis = rest.enter_context(RedisServer())
        environ = {
            **os.environ,
            **environment.defaults(),
            "DJANGO_SETTINGS_MODULE": "backend.settings",
            "STORAGE_DIR": folder,
            "DATABASE_URL": url,
            "CACHE_BACKEND_URL": redis.url,
            "FACES_REQUEST_RATE": "",
            "FACES_LOG_LEVEL": "WARNING",
            "OPENBLAS_NUM_THREADS": "1",  # as manage.py has it for the workers
        }
        command = [sys.executable, "-m", "benchmarks.photos_inside", str(faces), str(references)]
        process = rest.enter_context(
            subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        )
        assert process.stdout is not None
        for line in process.stdout:
            figure = Figure(**json.loads(line))
            yield Figure(**{**vars(figure), "what": f"{kind}: {figure.what}"})
        assert process.wait() == 0, f"the process on {kind} failed"


# --- an album


def album(photos: int, folder: Path | None) -> Iterator[Figure]:
    """From the upload of the first photo until the last is matched, beside a bare process."""
    with tempfile.TemporaryDirectory() as own:
        files = [Path(own, f"{number:04}.jpg") for number in range(photos)]
        for file, picture in zip(files, composed(photos, folder), strict=True):
            file.write_bytes(picture)
        theirs = bare(files)
        with Stack(nginx=True, settings={"FACES_SWEEP_INTERVAL_S": "2"}) as stack:
            ours = through_service(stack, own)
    yield Figure(f"an album of {photos}, to all matched", ours, "images/s")
    note = f"face_recognition in a bare process: {theirs:.2f} images/s"
    yield Figure("…beside face_recognition", ours / theirs, "×", "", note)


def composed(count: int, folder: Path | None) -> Iterator[bytes]:
    """Photos of 1920×1080, each in other bytes."""
    kinds = [jpeg(image_factories.canvas(1920, 1080, *names)) for names in _KINDS]
    if folder is not None:
        kinds += [file.read_bytes() for file in sorted(folder.glob("*.jpg"))]
    for number in range(count):
        yield unlike(kinds[number % len(kinds)])


def through_service(stack: Stack, folder: str) -> float:
    """Images a second."""
    run_inside(stack.environ, _REFERENCE, folder)
    wait_until(lambda: not left(stack), "the reference is matched", 60)
    began = time.monotonic()
    run_inside(stack.environ, _UPLOAD, folder)
    wait_until(lambda: not left(stack), "all photos are matched", 3600)
    took_s = time.monotonic() - began
    sql = "SELECT count(DISTINCT photo_id) AS photos FROM photos_match"
    assert stack.query(sql)[0]["photos"] > 0, "the member is on no photo"
    return len(list(Path(folder).glob("*.jpg"))) / took_s


def left(stack: Stack) -> int:
    waiting = (
        "SELECT (SELECT count(*) FROM photos_photo WHERE extraction = 'processing')"
        " + (SELECT count(*) FROM photos_reference WHERE extraction = 'processing')"
        " + (SELECT count(*) FROM photos_matching) AS rows"
    )
    return int(stack.query(waiting)[0]["rows"])


def run_inside(environ: Mapping[str, str], code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, env={**environ}, cwd=environment.ROOT, check=True)


def bare(files: list[Path]) -> float:
    """Images a second of `face_recognition` in a process that has loaded it."""
    command = [sys.executable, "-W", "ignore", "-c", _BARE, *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout)


_DJANGO: Final = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.settings"
import django; django.setup()
from datetime import date
from pathlib import Path
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from backend.photos.albums import service as albums
from backend.photos.members import consent, references
"""

_REFERENCE: Final = f"""{_DJANGO}
from tests.support import photographs
member = consent.member_of(User.objects.create(username="member"))
image = photographs.read("obama.jpg")
references.add(member, ContentFile(image, "me.jpg"), name="me.jpg")
"""

_UPLOAD: Final = f"""{_DJANGO}
album = albums.create_album("an album", date=date(2026, 7, 1))
files = sorted(Path(sys.argv[1]).glob("*.jpg"))
report = albums.add_photos(album, (ContentFile(file.read_bytes(), file.name) for file in files))
assert len(report.added) == len(files), report.skipped[:5]
"""

_BARE: Final = """
import sys, time, face_recognition as fr
def once(file):
    image = fr.load_image_file(file)
    return fr.face_encodings(image, fr.face_locations(image), model="small")
once(sys.argv[1])
began = time.monotonic()
for file in sys.argv[1:]:
    once(file)
print((len(sys.argv) - 1) / (time.monotonic() - began))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of everything")
    parser.add_argument("--images", type=Path, help="a folder of photos for the album")
    parser.add_argument("--only", default="sqlite,postgresql,album", help="parts, by commas")
    options = parser.parse_args()
    faces, references, photos = (20_000, 200, 10) if options.quick else (1_000_000, 10_000, 500)
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "sqlite": partial(on_database, "sqlite", faces // 10, references),
        "postgresql": partial(on_database, "postgresql", faces, references),
        "album": partial(album, photos, options.images),
    }
    chosen = [parts[name] for name in options.only.split(",")]
    show((figure for part in chosen for figure in part()), options.json)


if __name__ == "__main__":
    main()
