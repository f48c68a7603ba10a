"""Analyses and faces in the admin: looked at, never changed, and never an encoding loaded."""

import uuid
from typing import ClassVar

from django.contrib.auth.models import User
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.analysis.models import Analysis, Face
from backend.common.jobs.models import Status

_FACES = "/admin/analysis/face/"
_ANALYSES = "/admin/analysis/analysis/"


def face(index: int = 0) -> Face:
    analysis = Analysis.objects.create(
        sha256=uuid.uuid4().hex * 2,
        detector="hog",
        detection_pixels=1,
        model="m",
        status=Status.DONE,
        processed_at=timezone.now(),
    )
    box = {"top": 1, "right": 20, "bottom": 21, "left": 2}
    quality = {"score": 0.5, "size_px": 20, "sharpness": 1.0, "yaw": 0.1, "roll": 0.2}
    return Face.objects.create(
        analysis=analysis, index=index, encoding=b"\0" * 512, **box, **quality
    )


class AnalysisAdminTests(TestCase):
    user: ClassVar[User]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = User.objects.create_superuser("olga")

    def setUp(self) -> None:
        self.client.force_login(self.user)

    def test_no_page_loads_an_encoding(self) -> None:
        made = face()
        pages = (_FACES, f"{_FACES}{made.pk}/change/", _ANALYSES)
        for path in (*pages, f"{_ANALYSES}{made.analysis_id}/change/"):
            with self.subTest(path), CaptureQueriesContext(connection) as queries:
                self.assertEqual(self.client.get(path).status_code, 200)
                self.assertNotIn("encoding", str(queries.captured_queries))

    def test_the_lists_cost_no_query_a_row(self) -> None:
        for path, count in ((_FACES, 4), (_ANALYSES, 4)):
            Analysis.objects.all().delete()
            face()
            with self.assertNumQueries(count):
                self.client.get(path)
            for _ in range(19):
                face()
            with self.assertNumQueries(count):
                self.client.get(path)

    def test_they_are_found_by_the_beginning_of_the_hash(self) -> None:
        wanted = face()
        face()
        beginning = wanted.analysis.sha256[:10]
        for path, expected in ((_FACES, wanted), (_ANALYSES, wanted.analysis)):
            found = self.client.get(f"{path}?q={beginning}").context["cl"].queryset
            self.assertEqual(list(found), [expected])

    def test_nothing_can_be_changed(self) -> None:
        made = face()
        for path in (f"{_FACES}{made.pk}/", f"{_ANALYSES}{made.analysis_id}/"):
            for what in ("change/", "delete/"):
                self.assertEqual(self.client.post(path + what).status_code, 403)
