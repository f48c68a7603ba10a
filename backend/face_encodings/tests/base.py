"""The base of this app's tests: requests whose jobs are done at once, by this very process."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TransactionTestCase
from django.utils.module_loading import import_string

from backend.common import redis_clients
from backend.common.jobs import queues
from tests.support import image_factories, photographs

OBAMA = photographs.read("obama.jpg")
BIDEN = photographs.read("biden.jpg")
TWO = image_factories.encoded(image_factories.side_by_side("obama.jpg", "biden.jpg", width=300))
FACELESS = image_factories.encoded(image_factories.faceless())

POST = "/generate_face_encoding"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file(data: bytes, name: str = "a.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


@contextmanager
def jobs_done_at_once() -> Iterator[mock.Mock]:
    """Whoever enqueues does the work, before anybody waits for it."""

    def run(queue: str, task: str, argument: str, *, job_id: str) -> bool:
        import_string(task)(argument)
        return True

    with mock.patch.object(queues, "enqueue", side_effect=run) as enqueue:
        yield enqueue


class EncodingCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.enqueue = self.enterContext(jobs_done_at_once())

    def post(self, data: bytes = OBAMA, path: str = POST, **headers: str) -> Any:
        return self.client.post(path, {"upload_file": file(data)}, headers=headers)

    def get(self, data: bytes = OBAMA, **headers: str) -> Any:
        return self.client.get(f"/face_encoding/{sha256(data)}", headers=headers)

    def delete(self, data: bytes = OBAMA, **headers: str) -> Any:
        return self.client.delete(f"/face_encoding/{sha256(data)}", headers=headers)

    def batch(self, *images: bytes, **headers: str) -> Any:
        files = [file(data) for data in images]
        path = "/face_encodings/batch"
        return self.client.post(path, {"upload_file": files}, headers=headers)

    def statistics(self, **headers: str) -> tuple[int, Sequence[float]]:
        """The number of images, and the mean."""
        body = self.client.get("/stats/", headers=headers).json()
        (mean,) = body["average_face_encodings"]
        return body["number_of_images_processed"], mean
