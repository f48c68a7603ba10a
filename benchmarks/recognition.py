"""Recognition: one table.

    python -m benchmarks.recognition [--quick] [--json FILE] [--only galleries,adding,searching]
                                     [--faces N]

`galleries`: whose face is it, detection apart, in galleries of 100, 10⁴ and 10⁵ faces on SQLite.
`adding`: 100 faces in one call beside 100 calls, through a service of its own with two workers.
`searching`: among N faces (default 10⁶) of all clients on a PostgreSQL of its own, in each way that
was considered, for clients that hold more or less of them; with what is found of what comparing
every face finds. Everything is on free loopback ports and ends with the run. `--quick` only shows
that it works: its figures mean nothing.
"""

import argparse
import base64
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import django

from benchmarks.report import Figure, show

FACES: Final = 100


def galleries(options: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    sizes = (100, 1_000) if options.quick else (100, 10_000, 100_000)
    yield from parts().galleries(sizes, 20 if options.quick else 300, folder)


def searching(options: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    size = 20_000 if options.quick else options.faces
    yield from parts().searching(size, 20 if options.quick else 200, folder)


def parts() -> Any:
    """Only now: Django's models can be imported when it is set up."""
    return import_module("benchmarks.galleries")


def adding(options: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    """Faces of 250×250 pixels, sent as bytes: one call, and as many calls as faces."""
    encodings, service = (import_module(f"benchmarks.{name}") for name in ("encodings", "service"))
    count = 8 if options.quick else FACES
    picture = encodings.small()
    with encodings.started(1) as stack:
        added(stack, 1, [picture])
        images = [service.unlike(picture) for _ in range(2 * count)]
        at_once = added(stack, 2, images[:count])
        one_by_one = sum(added(stack, 3, [image]) for image in images[count:])
    yield Figure(f"add {count} faces in one call", at_once, "s")
    yield Figure(f"add {count} faces in {count} calls", one_by_one, "s")
    yield Figure("…one call is faster by", one_by_one / at_once, "×")


def added(stack: Any, contact_id: int, images: list[bytes]) -> float:
    """Seconds from the request to the last face's being in the gallery."""
    faces = [
        {"face_id": time.monotonic_ns(), "score": 1.0, "image": base64.b64encode(image).decode()}
        for image in images
    ]
    began = time.monotonic()
    path = f"/recognition/users/1/contacts/{contact_id}/faces/"
    answer = stack.request("POST", path, json={"faces": faces})
    while answer.status_code == 202 or answer.json().get("status") in ("queued", "processing"):
        assert time.monotonic() - began < 120, answer.text[:300]
        time.sleep(0.05)
        address = answer.headers.get("Location") or str(answer.url)
        answer = stack.request("GET", address[address.index("/recognition") :])
    body = answer.json()
    result = body.get("result") or body
    assert len(result.get("added", ())) == len(images), answer.text[:300]
    return time.monotonic() - began


PARTS: Final[dict[str, Callable[[argparse.Namespace, Path], Iterator[Figure]]]] = {
    "galleries": galleries,
    "adding": adding,
    "searching": searching,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--faces", type=int, default=1_000_000, help="of the search")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faces-benchmark-") as name:
        os.environ.update(DJANGO_SETTINGS_MODULE="backend.settings", STORAGE_DIR=name)
        os.environ["DATABASE_URL"] = ""
        django.setup()
        chosen = [PARTS[part] for part in options.only.split(",")]
        show((row for part in chosen for row in part(options, Path(name))), options.json)


if __name__ == "__main__":
    main()
