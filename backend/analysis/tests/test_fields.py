"""Encodings as columns: what goes in comes out, on either database."""

from typing import Any
from unittest import mock

import numpy
from django.core import serializers
from django.db import DatabaseError, connection, transaction
from django.test import TestCase

from backend.analysis import fields
from backend.analysis.fields import ENCODING_BYTES, read_many
from backend.analysis.models import Analysis, Face
from backend.common.jobs.models import Status

# Shortest and longest in decimal, the smallest there is, the largest, and both zeros.
HARD = numpy.array([0.1, 1 / 3, 1e-45, 1.1754944e-38, 3.4028235e38, -0.0, 0.0, 16777217], "f4")


def encodings(count: int) -> list[numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]]:
    """Of any bits that are finite numbers."""
    bits = numpy.random.default_rng(5).integers(0, 2**32, (count, 128), dtype=numpy.uint32)
    numbers = bits.view(numpy.float32)
    numbers[~numpy.isfinite(numbers)] = 1
    numbers[0, : len(HARD)] = HARD
    return list(numbers)


class EncodingFieldTests(TestCase):
    analysis: Analysis

    @classmethod
    def setUpTestData(cls) -> None:
        cls.analysis = Analysis.objects.create(
            sha256="a" * 64, detector="hog", detection_pixels=1, model="m", status=Status.QUEUED
        )

    def face(self, encoding: Any, index: int = 0) -> Face:
        box = {"top": 1, "right": 2, "bottom": 2, "left": 1, "size_px": 1}
        quality = {"score": 1.0, "sharpness": 1.0, "yaw": 0.0, "roll": 0.0}
        return Face(analysis=self.analysis, index=index, encoding=encoding, **box, **quality)

    def test_every_float32_comes_back_to_the_last_bit(self) -> None:
        written = encodings(200)
        Face.objects.bulk_create(self.face(each, index) for index, each in enumerate(written))
        read = [face.encoding for face in Face.objects.with_encodings()]
        for one, other in zip(written, read, strict=True):
            self.assertEqual(one.tobytes(), other.tobytes())

    def test_it_is_a_read_only_array_of_128_float32_wherever_it_is_read(self) -> None:
        self.face(encodings(1)[0]).save()
        values = Face.objects.values_list("encoding", flat=True).get()
        for read in (Face.objects.get().encoding, values):
            self.assertEqual((read.shape, read.dtype), ((128,), numpy.float32))
            self.assertFalse(read.flags.writeable)

    def test_lists_of_numbers_are_taken_too(self) -> None:
        self.face([0.5] * 128).save()
        self.assertEqual(Face.objects.get().encoding.tolist(), [0.5] * 128)

    def test_a_wrong_length_or_shape_is_refused(self) -> None:
        for wrong in ([0.5] * 127, [0.5] * 1025, [], [[0.5] * 128], 0.5, b"", b"\0" * 511):
            with self.subTest(numpy.shape(wrong)), self.assertRaises(ValueError):
                self.face(wrong).save()
        fields.checked([0.5] * 128)
        with self.assertRaises(ValueError):  # a column of one size takes that alone
            fields.checked([0.5] * 129)

    def test_other_models_have_as_many_numbers_as_they_make(self) -> None:
        for index, size in enumerate((128, 512, 1024)):
            written = numpy.random.default_rng(size).normal(size=size).astype("f4")
            self.face(written, index).save()
            read = Face.objects.with_encodings().get(index=index).encoding
            self.assertEqual(read.tobytes(), written.tobytes())
            (_, many) = read_many(Face.objects.filter(index=index), "pk")
            self.assertEqual(many.tobytes(), written.tobytes())
        with mock.patch.object(fields, "_FETCHED", 1), self.assertRaisesRegex(ValueError, "models"):
            read_many(Face.objects.all(), "pk")
        with self.assertRaisesRegex(ValueError, "models"):
            read_many(Face.objects.all(), "pk")

    def test_what_is_not_finite_is_refused(self) -> None:
        for wrong in (float("nan"), float("inf"), -float("inf"), 1e39):
            with self.subTest(wrong), self.assertRaisesRegex(ValueError, "not finite"):
                self.face([0.5] * 127 + [wrong]).save()

    def test_the_database_refuses_a_wrong_length_too(self) -> None:
        self.face([0.5] * 128).save()
        vector = connection.vendor == "postgresql"
        ones = f"'[{','.join('1' * 1025)}]'::vector"
        sizes = (ENCODING_BYTES - 4, ENCODING_BYTES + 2, 1025 * 4)
        blobs = [f"zeroblob({size})" for size in sizes]
        for wrong in ["'[1,2]'::vector", ones] if vector else blobs:
            with (
                self.assertRaises(DatabaseError),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(f"UPDATE analysis_face SET encoding = {wrong}")

    def test_rows_are_read_without_their_encodings_unless_asked(self) -> None:
        self.face([0.5] * 128).save()
        for rows in (Face.objects.all(), self.analysis.faces.all()):
            with self.assertNumQueries(1):
                (face,) = rows
            self.assertIn("encoding", face.get_deferred_fields())
        with self.assertNumQueries(1):
            (face,) = self.analysis.faces.with_encodings()
            self.assertEqual(face.encoding[0], 0.5)

    def test_many_are_read_at_once_without_an_object_for_each_number(self) -> None:
        written = encodings(300)
        Face.objects.bulk_create(self.face(each, index) for index, each in enumerate(written))
        rows = Face.objects.filter(index__gte=7, analysis__sha256="a" * 64)
        with mock.patch.object(fields, "_FETCHED", 100):
            integers, read = read_many(rows.order_by("-index"), "index", "analysis_id")
        self.assertEqual((read.shape, read.dtype), ((293, 128), numpy.float32))
        self.assertEqual(integers.tolist()[:1], [[299, self.analysis.pk]])
        for (index, _), row in zip(integers.tolist(), read, strict=True):
            self.assertEqual(row.tobytes(), written[index].tobytes())

    def test_of_no_rows_nothing_is_read(self) -> None:
        for rows in (Face.objects.all(), Face.objects.filter(pk__in=[]), Face.objects.none()):
            integers, read = read_many(rows, "pk", "index")
            self.assertEqual((integers.shape, read.shape), ((0, 2), (0, 128)))

    def test_dumped_and_loaded_it_is_the_same(self) -> None:
        written = encodings(1)[0]
        self.face(written).save()
        text = serializers.serialize("json", Face.objects.all())
        (loaded,) = serializers.deserialize("json", text)
        assert isinstance(loaded.object, Face)
        self.assertEqual(loaded.object.encoding.tobytes(), written.tobytes())

    def test_a_face_passes_djangos_validation(self) -> None:
        self.face(encodings(1)[0]).full_clean()
