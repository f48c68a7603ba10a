"""Statistics: exact at once, under many writers, after deletions, and when counted anew."""

import random
from functools import partial
from io import StringIO

import numpy
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import TransactionTestCase
from django.utils import timezone

from backend.analysis.models import Analysis, Face
from backend.clients.models import ANONYMOUS_ID
from backend.clients.tests import factories
from backend.common.jobs.models import Status
from backend.face_encodings import services, statistics
from backend.face_encodings.models import EncodedImage, StatisticsCounter
from backend.face_encodings.tests.base import BIDEN, FACELESS, OBAMA, TWO, EncodingCase
from tests.support.at_once import at_once

Vectors = list[list[float]]


def vectors(count: int, seed: int = 0) -> Vectors:
    """Encodings as far from 0 as real ones, in float32 as those are."""
    made = numpy.random.default_rng(seed).uniform(-0.5, 0.5, (count, 128))
    found: Vectors = made.astype(numpy.float32).astype(float).tolist()
    return found


class CountedCase(TransactionTestCase):
    def assert_mean(self, expected: Vectors) -> None:
        read = statistics.read(ANONYMOUS_ID)
        self.assertEqual(read.images, len(expected))
        mean = numpy.mean(expected, axis=0) if expected else numpy.zeros(128)
        self.assertLess(numpy.abs(numpy.subtract(read.mean, mean)).max(), 1e-6)


class CounterTests(CountedCase):
    def test_without_images_there_are_zeros(self) -> None:
        self.assert_mean([])

    def test_the_mean_is_right_and_the_client_has_one_row(self) -> None:
        made = vectors(100)
        for each in made:
            statistics.count(ANONYMOUS_ID, [each])
        self.assert_mean(made)
        self.assertEqual(StatisticsCounter.objects.count(), 1)

    def test_deletions_cancel_to_the_last_bit_in_any_order(self) -> None:
        made = vectors(40)
        for each in made:
            statistics.count(ANONYMOUS_ID, [each])
        random.Random(1).shuffle(made)
        for each in made[:-1]:
            statistics.subtract(ANONYMOUS_ID, [each])
        self.assertEqual(statistics.read(ANONYMOUS_ID).mean, made[-1])
        statistics.subtract(ANONYMOUS_ID, made[-1:])
        self.assertFalse(any(StatisticsCounter.objects.get().sums))

    def test_ten_million_images_do_not_wear_it_out(self) -> None:
        (one,) = vectors(1)
        total = statistics.Total.counting([one])
        many = statistics.Total(10_000_000, total.sums * 10_000_000)
        statistics.add(ANONYMOUS_ID, many)
        for _ in range(10):
            statistics.count(ANONYMOUS_ID, [one])
        read = statistics.read(ANONYMOUS_ID)
        self.assertEqual(read.images, 10_000_010)
        self.assertLess(numpy.abs(numpy.subtract(read.mean, one)).max(), 1e-9)

    def test_reading_is_one_statement_however_many_images_there_are(self) -> None:
        statistics.count(ANONYMOUS_ID, vectors(1000))
        with self.assertNumQueries(1):
            statistics.read(ANONYMOUS_ID)

    def test_fifty_writers_at_once_lose_nothing(self) -> None:
        made = vectors(50 * 8)

        def write(number: int) -> None:
            for index, each in enumerate(made[number * 8 : number * 8 + 8]):
                with transaction.atomic():
                    statistics.count(ANONYMOUS_ID, [each])
                if index % 4 == 3:  # the last of every four goes again
                    with transaction.atomic():
                        statistics.subtract(ANONYMOUS_ID, [each])

        at_once([partial(write, n) for n in range(50)])
        self.assert_mean([each for index, each in enumerate(made) if index % 4 != 3])


class EndpointTests(EncodingCase):
    def test_n_counts_images_with_a_face_and_the_mean_is_of_their_first_faces(self) -> None:
        self.assertEqual(self.statistics(), (0, [0.0] * 128))
        bodies = [self.post(data).json() for data in (OBAMA, TWO, BIDEN)]
        self.post(FACELESS)
        self.post(OBAMA)
        first = [body["face_encoding"] for body in bodies]
        count, mean = self.statistics()
        self.assertEqual(count, 3)
        self.assertLess(numpy.abs(numpy.mean(first, axis=0) - mean).max(), 1e-6)

    def test_what_is_deleted_counts_no_more(self) -> None:
        alone = self.post(OBAMA).json()["face_encoding"]
        self.post(TWO)
        self.delete(TWO)
        count, mean = self.statistics()
        self.assertEqual(count, 1)
        self.assertLess(numpy.abs(numpy.subtract(mean, alone)).max(), 2.0**-32)

    def test_fifty_requests_that_complete_the_same_image_count_it_once(self) -> None:
        self.enqueue.side_effect = None
        with self.settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.01):
            self.post()
        analysis = Analysis.objects.get()
        encoding = numpy.ones(128, "<f4").tobytes()
        quality = {"score": 1, "size_px": 1, "sharpness": 1, "yaw": 0, "roll": 0}
        box = {"top": 0, "right": 1, "bottom": 1, "left": 0}
        Face.objects.create(analysis=analysis, index=0, encoding=encoding, **box, **quality)
        Analysis.objects.update(status=Status.DONE, processed_at=timezone.now(), faces_count=1)
        images = [EncodedImage.objects.get() for _ in range(50)]
        at_once([partial(services.complete, each, timeout_s=60) for each in images])
        self.assertEqual(self.statistics(), (1, [1.0] * 128))


class RecomputeTests(EncodingCase):
    def setUp(self) -> None:
        super().setUp()
        for data in (OBAMA, TWO, FACELESS):
            self.post(data)
        self.post(OBAMA, **factories.headers("alice"))

    def command(self, *arguments: str) -> str:
        out = StringIO()
        call_command("recompute_statistics", *arguments, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_counted_from_scratch_it_is_the_same_to_the_last_bit(self) -> None:
        self.delete(TWO)
        self.assertEqual(self.command("--check"), "The statistics are right.\n")

    def test_what_is_wrong_is_told_and_then_corrected(self) -> None:
        before = statistics.read(ANONYMOUS_ID)
        statistics.count(ANONYMOUS_ID, vectors(3))
        with self.assertRaisesMessage(CommandError, "The statistics of 1 clients are wrong."):
            self.command("--check")
        self.assertIn("-3 images", self.command())
        self.assertEqual(statistics.read(ANONYMOUS_ID), before)
        self.assertEqual(self.command("--check"), "The statistics are right.\n")

    def test_what_comes_while_it_counts_is_in_both_or_in_neither(self) -> None:
        recount = statistics.recompute(ANONYMOUS_ID)
        next(recount)

        def come_and_go() -> None:
            services.erase(list(EncodedImage.objects.filter(owner_id=ANONYMOUS_ID)[:1]))
            self.post(BIDEN)

        at_once([come_and_go])
        (lacking,) = [found for _, found in recount if found is not None]
        self.assertFalse(lacking)
