"""An upgrade keeps what each owner has."""

from importlib import import_module

import numpy
from django.apps import apps
from django.test import TestCase
from django.utils import timezone

from backend.analysis.models import Analysis, Face
from backend.clients.tests import factories
from backend.common.jobs.models import Status
from backend.face_encodings.models import EncodedImage
from backend.submissions.models import Submission

SHA256 = "5" * 64


def upgrade() -> None:
    import_module("backend.analysis.migrations.0003_owner").assign_owners(apps, None)


def shared(status: Status) -> Analysis:
    """An analysis with a face, as it was before owners."""
    analysis = Analysis.objects.create(
        owner="",
        sha256=SHA256,
        detector="hog",
        detection_pixels=1,
        model="m",
        status=status,
        processed_at=timezone.now(),
        faces_count=1,
    )
    quality = {"score": 1, "size_px": 1, "sharpness": 1, "yaw": 0, "roll": 0}
    box = {"top": 1, "right": 2, "bottom": 3, "left": 4}
    encoding = numpy.ones(128, "<f4").tobytes()
    Face.objects.create(analysis=analysis, index=0, encoding=encoding, **box, **quality)
    return analysis


class OwnerTests(TestCase):
    def test_an_analysis_of_several_owners_becomes_one_for_each(self) -> None:
        analysis = shared(Status.DONE)
        alice, bob = factories.client("Alice"), factories.client("Bob")
        submissions = [
            Submission.objects.create(owner=owner, sha256=SHA256, size_bytes=1, analysis=analysis)
            for owner in (alice, alice, bob)
        ]
        image = EncodedImage.objects.create(
            owner=bob, sha256=SHA256, analysis=analysis, completed_at=timezone.now()
        )
        upgrade()
        rows: list[Submission | EncodedImage] = [*submissions, image]
        for row in rows:
            row.refresh_from_db()
            assert row.analysis is not None
            self.assertEqual(row.analysis.owner, f"client:{row.owner_id}")
            face = Face.objects.with_encodings().get(analysis=row.analysis)
            self.assertEqual((face.top, face.encoding.tolist()), (1, [1.0] * 128))
        self.assertEqual((Analysis.objects.count(), Face.objects.count()), (2, 2))

    def test_one_that_has_not_ended_stays_with_the_first_owner(self) -> None:
        analysis = shared(Status.QUEUED)
        images = [
            EncodedImage.objects.create(
                owner=factories.client(name), sha256=SHA256, analysis=analysis
            )
            for name in ("Alice", "Bob")
        ]
        upgrade()
        for image in images:
            image.refresh_from_db()
        self.assertEqual([image.analysis_id for image in images], [analysis.pk, None])
