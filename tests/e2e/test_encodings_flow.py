"""Encodings over several backends, and without Redis: real processes."""

import hashlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy
import requests

from tests.support import samples
from tests.support.scaled_stack import ScaledStack
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

_numbers = iter(range(1_000_000))

POST = "/generate_face_encoding"


def face() -> bytes:
    """A photograph that no test has sent before."""
    return samples.another(samples.face(), next(_numbers))


class FlowCase(StackCase):
    """Three backends; the others' tests ask the first alone."""

    shares = "encodings"
    stack: ClassVar[ScaledStack]

    @classmethod
    def setUpClass(cls) -> None:
        super(StackCase, cls).setUpClass()
        cls.stack = cls.shared("stack", lambda: ScaledStack(backends=3))

    def post(self, image: bytes, *, url: str = "") -> requests.Response:
        """The answer. A busy machine may answer 202; then the encoding is polled at its address."""
        files = {"upload_file": ("a.jpg", image)}
        answer = self.stack.request("POST", f"{url or self.stack.url}{POST}", files=files)
        if answer.status_code == 202:
            address = f"/face_encoding/{answer.json()['file_hash']}"
            wait_until(lambda: self.stack.get(address).status_code != 202, "it is there")
            answer = self.stack.get(address)
        return answer

    def images(self) -> int:
        count: int = self.stack.get("/stats/").json()["number_of_images_processed"]
        return count

    def computed(self) -> int:
        """How many analyses the workers say that they have made."""
        return self.stack.pool.output().count(" computed analysis=")


class SeveralBackendsTests(FlowCase):
    def at_once(self, count: int, image: bytes) -> list[requests.Response]:
        urls = [self.stack.backend_urls[index % 3] for index in range(count)]
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda url: self.post(image, url=url), urls))

    def test_two_hundred_posts_of_the_same_bytes_are_one_analysis_and_one_count(self) -> None:
        image, images, computed = face(), self.images(), self.computed()
        answers = self.at_once(200, image)
        self.assertEqual(Counter(answer.status_code for answer in answers), {200: 200})
        self.assertEqual(len({answer.text for answer in answers}), 1)
        self.assertEqual(self.images() - images, 1)
        self.assertEqual(self.computed() - computed, 1)
        sha256 = hashlib.sha256(image).hexdigest()
        rows = self.stack.query("SELECT * FROM analysis_analysis WHERE sha256 = ?", sha256)
        self.assertEqual(len(rows), 1)
        wait_until(lambda: not self.waiting_files(), "the bytes are gone")

    def waiting_files(self) -> list[str]:
        return [name for name in self.stack.stored_files() if "waiting" in name]

    def test_fifty_writers_of_different_images_leave_exact_statistics(self) -> None:
        """Over three backends, each tenth deleted again, while the sweep folds."""
        before, mean_before = self.statistics()
        images = [face() for _ in range(50)]

        def write(index: int) -> list[float]:
            url = self.stack.backend_urls[index % 3]
            body = self.post(images[index], url=url).json()
            if index % 10 == 0:
                path = f"/face_encoding/{body['file_hash']}"
                self.assertEqual(self.stack.request("DELETE", url + path).status_code, 204)
                return []
            encoding: list[float] = body["face_encoding"]
            return encoding

        with ThreadPoolExecutor(50) as pool:
            kept = [encoding for encoding in pool.map(write, range(50)) if encoding]
        count, mean = self.statistics()
        self.assertEqual(count, before + 45)
        expected = (mean_before * before + numpy.sum(kept, axis=0)) / count
        self.assertLess(numpy.abs(mean - expected).max(), 1e-6)

    def statistics(self) -> tuple[int, Any]:
        body = self.stack.get("/stats/").json()
        return body["number_of_images_processed"], numpy.array(body["average_face_encodings"][0])


class WithoutRedisTests(FlowCase):
    @contextmanager
    def no_redis(self) -> Iterator[None]:
        self.stack.redis.stop()
        try:
            yield
        finally:
            self.stack.redis.start()

    def test_everything_is_answered_and_nothing_is_done_twice(self) -> None:
        image, images, computed = face(), self.images(), self.computed()
        with self.no_redis():
            posted = self.post(image)
            self.assertEqual(posted.status_code, 200, posted.text)
            got = self.stack.get(f"/face_encoding/{posted.json()['file_hash']}")
            self.assertEqual(got.json(), posted.json())
            self.assertEqual(self.post(image).json(), posted.json())
            self.assertEqual(self.images(), images + 1)
            submission = self.stack.upload(face())
            wait_until(lambda: self.is_done(submission), "the submission is done too")
        self.assertEqual(self.post(image).json(), posted.json())
        self.assertEqual(self.images(), images + 1)
        self.assertEqual(self.computed() - computed, 2)
        self.assert_each_ended_once([submission])

    def test_many_at_once_are_shared_among_the_hands_there_are(self) -> None:
        with self.no_redis(), ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(self.post, [face() for _ in range(8)]))
        self.assertEqual([answer.status_code for answer in answers], [200] * 8)

    def test_a_redis_that_hangs_delays_the_answer_and_does_not_change_it(self) -> None:
        known, image = face(), face()
        first = self.post(known).json()
        os.kill(self.stack.redis.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            self.assertEqual(self.post(known).json(), first)
            self.assertLess(time.monotonic() - began, 20)
            answer = self.post(image)
            self.assertIn(answer.status_code, (200, 202), answer.text)
            address = f"/face_encoding/{answer.json()['file_hash']}"
            wait_until(lambda: self.stack.get(address).status_code == 200, "it is there")
        finally:
            os.kill(self.stack.redis.pid, signal.SIGCONT)

    def is_done(self, id: str) -> bool:
        return bool(self.stack.submissions()[id]["status"] == "done")
