"""An ordinary upload while another client sends what costs much: how long it waits for its 202.

    python -m benchmarks.beside [--json FILE] [--megabytes N] [--only import,images]

Starts its own service on free loopback ports. The other client's address is 127.0.0.2. `import`:
galleries of 100 MB of lines, one after the other. `images`: the costly files of
`faceengine/tests/test_cost.py`, by several threads at once.
"""

import argparse
import base64
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy
import requests
from requests.adapters import HTTPAdapter

from benchmarks.report import Figure, percentile, show
from benchmarks.service import jpeg, unlike
from tests.support import costly_files, image_factories
from tests.support.stack import Stack, local_session, wait_until

_PAUSE_S: Final = 0.2
_SENDERS: Final = 4

_COSTLY: Final = (
    *("jpeg: 40 empty scans", "jpeg: 7 scans of 9400²", "jpeg: 300 EXIF segments"),
    *("png: 118 megapixels, alpha", "tiff: a tile of 20000²", "webp: 55 megapixels"),
    *("avif: 16² that is 8000²", "gif: a million frames", "bmp: jumps", "heic: 64² that is 4000²"),
)


class _OtherAddress(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, source_address=("127.0.0.2", 0))


def other_client() -> requests.Session:
    session = local_session()
    session.mount("http://", _OtherAddress())
    return session


def gallery(megabytes: int) -> bytes:
    """An exported user of about so many megabytes: 20 faces each of made-up people."""
    numbers, file = numpy.random.default_rng(1), io.BytesIO()
    faces = megabytes * 1000
    contacts = max(1, faces // 20)

    def write(line: object) -> None:
        file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    write({"format": "faces-gallery", "version": 1, "user_id": 1, "exported_at": ""})
    for number in range(contacts):
        write({"contact": {"contact_id": number, "name": f"Person {number}"}})
    for number in range(faces):
        encoding = numbers.normal(0, 0.1, 128).astype("<f4").tobytes()
        write({"face": _face(number, number % contacts, base64.b64encode(encoding).decode())})
    write({"end": {"contact": contacts, "face": faces, "feedback": 0}})
    return file.getvalue()


def _face(number: int, contact: int, encoding: str) -> dict[str, object]:
    return {
        "id": number,
        "contact_id": contact,
        "face_id": number,
        "face_url": f"https://photos.example/{number}.jpg",
        "external_id": None,
        "score": 0.5,
        "is_face": True,
        "encoding": encoding,
        "model": "dlib_face_recognition_resnet_model_v1",
        "sha256": "ab" * 32,
        "note": "",
        "created_at": "2026-11-28T10:00:00.123456+00:00",
    }


def importing(stack: Stack, megabytes: int) -> Iterator[Figure]:
    file, users = gallery(megabytes), itertools.count(1)
    took_s: list[float] = []

    def send(session: requests.Session) -> None:
        started = time.monotonic()
        path = f"{stack.url}/recognition/users/{next(users)}/import"
        answer = session.post(path, files={"file": ("user.jsonl", file)}, timeout=600)
        assert answer.status_code in (201, 202), answer.text[:300]
        if answer.status_code == 202:
            at = answer.json()["operation_url"]
            wait_until(lambda: _has_ended(session, at), "the import ends", 600, poll_s=0.5)
        took_s.append(time.monotonic() - started)

    yield from _beside(stack, f"an import of {megabytes} MB", [send], rounds=3)
    yield Figure("…which took from its first byte to its end", percentile(took_s, 50), "s")


def _has_ended(session: requests.Session, url: str) -> bool:
    status = session.get(url, timeout=60).json()["status"]
    assert status != "failed"
    return bool(status == "done")


def images(stack: Stack, _: int) -> Iterator[Figure]:
    files = [costly_files.table()[name]() for name in _COSTLY]

    def send(session: requests.Session) -> None:
        for file in files:
            session.post(f"{stack.url}/image/", files={"image": ("a", file)}, timeout=600)

    yield from _beside(stack, f"{len(files)} costly images", [send] * _SENDERS, rounds=2)


def _beside(
    stack: Stack, what: str, senders: list[Callable[[requests.Session], None]], *, rounds: int
) -> Iterator[Figure]:
    """The times of uploads while all `senders` run."""

    def run(send: Callable[[requests.Session], None]) -> None:
        with other_client() as session:
            for _ in range(rounds):
                send(session)

    picture = jpeg(image_factories.canvas(640, 480, "obama.jpg"))
    yield from _figures("nothing", [_upload_ms(stack, picture) for _ in range(20)])
    threads = [threading.Thread(target=run, args=(send,)) for send in senders]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        waits.append(_upload_ms(stack, picture))
        time.sleep(_PAUSE_S)
    yield from _figures(what, waits)


def _figures(what: str, waits: list[float]) -> Iterator[Figure]:
    yield Figure(f"POST of 480p beside {what}: p50", percentile(waits, 50), "ms")
    note = f"of {len(waits)}"
    yield Figure("…the longest", max(waits), "ms", "" if what == "nothing" else "< 500 ms", note)


def _upload_ms(stack: Stack, picture: bytes) -> float:
    started = time.monotonic()
    stack.upload(unlike(picture))
    return 1000 * (time.monotonic() - started)


PARTS: Final = {"import": importing, "images": images}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    limits = dict.fromkeys(
        ("FACES_UPLOAD_RATE", "FACES_REQUEST_RATE", "FACES_UPLOAD_BYTES_RATE"), ""
    )
    with Stack(nginx=True, workers=2, settings=limits) as stack:
        parts = (PARTS[name](stack, given.megabytes) for name in given.only.split(","))
        show(itertools.chain.from_iterable(parts), given.json)


if __name__ == "__main__":
    main()
