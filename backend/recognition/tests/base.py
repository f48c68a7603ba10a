"""Base of this app's tests: jobs run at once, images come from a real server on loopback."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, Final
from unittest import mock

from django.test import TransactionTestCase, override_settings
from django.utils import timezone
from django.utils.module_loading import import_string
from PIL import Image

import faceengine
from backend.analysis.detectors import default_detector
from backend.analysis.models import Analysis, Face
from backend.analysis.services import client_owner
from backend.clients.models import Client
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.face_encodings.models import EncodedImage
from backend.recognition.contract import FaceShape
from backend.recognition.gallery import cache
from backend.recognition.tests.factories import Encodings, near, person
from tests.support import image_factories, photographs
from tests.support.loopback_server import LoopbackServer, QuietHandler

OBAMA: Final = photographs.read("obama.jpg")
OBAMA_2: Final = photographs.read("obama2.jpg")
BIDEN: Final = photographs.read("biden.jpg")
FACELESS: Final = image_factories.encoded(image_factories.faceless())

_colours = count(1)


class Images(LoopbackServer):
    """A web server on this machine whose images are in `images`, by path; 404 for all others."""

    def __init__(self) -> None:
        self.images: dict[str, bytes] = {}
        self.barrier = threading.Barrier(1)
        outer = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                outer.barrier.wait(30)
                image = outer.images.get(self.path)
                self.send_response(404 if image is None else 200)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(len(image or b"")))
                self.end_headers()
                self.wfile.write(image or b"")

        super().__init__(Handler)

    def wait_for(self, count: int) -> None:
        """Answer requests only when `count` of them wait at the same time."""
        self.barrier = threading.Barrier(count)

    def put(self, data: bytes, path: str = "") -> str:
        """The URL that answers with these bytes from now on."""
        path = path or f"/{hashlib.sha256(data).hexdigest()[:16]}"
        self.images[path] = data
        return self.url(path)


@contextmanager
def jobs_done_at_once() -> Iterator[mock.Mock]:
    """Enqueuing a job runs it, in the same process."""

    def run(queue: str, task: str, argument: str, *, job_id: str) -> bool:
        import_string(task)(argument)
        return True

    with mock.patch.object(queues, "enqueue", side_effect=run) as enqueue:
        yield enqueue


def analysed(encoding: Encodings | None = None) -> bytes:
    """An image that every client has sent before: one face with this encoding, or none.

    So no engine runs. A row of the client keeps the analysis.
    """
    data = io.BytesIO()
    number = next(_colours)
    colour = (number % 256, number // 256 % 256, number // 65536)
    Image.new("RGB", (2, 2), colour).save(data, "PNG")
    sha256 = hashlib.sha256(data.getvalue()).hexdigest()
    for client in Client.objects.all():
        analysis = Analysis.objects.create(
            owner=client_owner(client.pk),
            sha256=sha256,
            detector=default_detector(),
            detection_pixels=2073600,
            model=faceengine.MODEL,
            status=Status.DONE,
            processed_at=timezone.now(),
            faces_count=0 if encoding is None else 1,
        )
        if encoding is not None:
            _found(analysis, encoding)
        EncodedImage.objects.create(owner=client, sha256=sha256, analysis=analysis)
    return data.getvalue()


def _found(analysis: Analysis, encoding: Encodings) -> None:
    Face.objects.create(
        analysis=analysis,
        index=0,
        top=0,
        right=2,
        bottom=2,
        left=0,
        encoding=encoding,
        score=1.0,
        size_px=100,
        sharpness=1.0,
        yaw=0.0,
        roll=0.0,
    )


def ids(faces: Any) -> list[int]:
    """The `face_id`s of structures, in order."""
    return [face["face_id"] for face in faces]


def counts(answer: Mapping[str, Any]) -> tuple[int, ...]:
    """How many were added, deleted, not found, and errors."""
    return tuple(len(answer[name]) for name in ("added", "deleted", "not_found", "error"))


@override_settings(FACES_DOWNLOAD_ALLOWED_HOSTS=["127.0.0.1"])
class RecognitionCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        cache.cache.clear()
        self.enqueue = self.enterContext(jobs_done_at_once())
        self.web = self.enterContext(Images())

    def face(self, face_id: int, encoding: Encodings | None = None, **more: Any) -> FaceShape:
        """A structure to add, whose image on our server shows this face, or any face."""
        data = analysed(person() if encoding is None else encoding)
        found = {"face_id": face_id, "face_url": self.web.put(data), "score": 1.0}
        return FaceShape(**{**found, **more})  # type: ignore[typeddict-item]

    def faceless(self, face_id: int, **more: Any) -> FaceShape:
        return self.face(face_id, **{"face_url": self.web.put(analysed()), **more})

    def probe(self, encoding: Encodings, distance: float = 0.2) -> str:
        """The URL of another image of the same person."""
        return self.web.put(analysed(near(encoding, distance)))
