"""What holds of every page of the admin, whichever app it is of."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection, models
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.clients import keys
from backend.clients.models import AuditEntry, Client
from backend.common.jobs.models import Status

_ROWS: Final = 3
_PAGES: Final = {"django_rq.dashboard"}
"""Without rows of their own."""


def _model(label: str) -> Any:
    return apps.get_model(label)


def _analysis() -> Any:
    return _model("analysis.Analysis").objects.create(
        sha256=uuid.uuid4().hex * 2,
        detector="hog",
        detection_pixels=1,
        model="test",
        status=Status.DONE,
        processed_at=timezone.now(),
        faces_count=1,
    )


def _face() -> None:
    measured = {"score": 1.0, "size_px": 100, "sharpness": 1.0, "yaw": 0.0, "roll": 0.0}
    box = {"top": 0, "right": 1, "bottom": 1, "left": 0}
    _model("analysis.Face").objects.create(
        analysis=_analysis(), index=0, encoding=np.zeros(128, np.float32), **box, **measured
    )


def _submission() -> None:
    id = uuid.uuid4()
    _model("submissions.Submission").objects.create(
        id=id,
        owner=_client(),
        status=Status.DONE,
        processed_at=timezone.now(),
        image=f"originals/{id}.jpg",
        result=f"processed_faces/aa/bb/{id}.jpg",
        sha256=id.hex * 2,
        size_bytes=1,
    )


def _client() -> Any:
    return Client.objects.create(name=uuid.uuid4().hex)


def _encoded_image() -> None:
    _model("face_encodings.EncodedImage").objects.create(
        owner=_client(), sha256=uuid.uuid4().hex * 2, analysis=_analysis()
    )


def _counter() -> None:
    _model("face_encodings.StatisticsCounter").objects.create(
        owner=_client(), images=1, sums=bytes(1024)
    )


def _gallery_user() -> Any:
    return _model("recognition.User").objects.create(owner=_client(), user_id=1, exists=True)


def _contact() -> Any:
    return _model("recognition.Contact").objects.create(user=_gallery_user(), contact_id=1)


def _gallery_face() -> None:
    contact = _contact()
    _model("recognition.Face").objects.create(
        contact=contact,
        user=contact.user,
        face_id=1,
        score=1.0,
        is_face=True,
        encoding=np.zeros(128, np.float32),
    )


def _operation() -> None:
    user = _gallery_user()
    _model("recognition.Operation").objects.create(
        owner=user.owner, user=user, sequence=1, kind="add"
    )


MAKERS: Final[dict[str, Callable[[], Any]]] = {
    "analysis.analysis": _analysis,
    "analysis.face": _face,
    "auth.group": lambda: Group.objects.create(name=uuid.uuid4().hex),
    "auth.user": lambda: User.objects.create_user(uuid.uuid4().hex),
    "clients.apikey": lambda: keys.create_key(_client(), name="a", scopes=["read"], actor="test"),
    "clients.auditentry": lambda: AuditEntry.objects.create(actor="a", action="b", subject="c"),
    "clients.client": _client,
    "face_encodings.encodedimage": _encoded_image,
    "face_encodings.statisticscounter": _counter,
    "recognition.contact": _contact,
    "recognition.face": _gallery_face,
    "recognition.operation": _operation,
    "recognition.user": _gallery_user,
    "submissions.submission": _submission,
}
"""Each makes one row, with rows of its own that it refers to."""


def heavy_columns(model: type[models.Model]) -> set[str]:
    """The columns of `model` that no page may load: vectors, and bytes."""
    kinds = (EncodingField, models.BinaryField)
    return {
        f'"{model._meta.db_table}"."{field.column}"'
        for field in model._meta.concrete_fields
        if isinstance(field, kinds)
    }


class EveryAdminTests(TestCase):
    user: ClassVar[User]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = User.objects.create_superuser("olga")

    def setUp(self) -> None:
        self.client.force_login(self.user)

    def pages(self) -> dict[str, admin.ModelAdmin[Any]]:
        """Every model's page, by the model's name."""
        every = admin.site._registry.items()
        return {m._meta.label_lower: p for m, p in every if m._meta.label_lower not in _PAGES}

    def queries(self, label: str, query: str = "") -> list[str]:
        """What opening the list asks of the database."""
        with CaptureQueriesContext(connection) as asked:
            answer = self.client.get(f"/admin/{label.replace('.', '/')}/{query}")
        self.assertEqual(answer.status_code, 200, label)
        return [each["sql"] for each in asked.captured_queries]

    def test_each_can_be_searched_and_filtered_and_shows_more_than_a_name(self) -> None:
        for label, page in self.pages().items():
            with self.subTest(label):
                self.assertTrue(page.search_fields)
                if label not in ("auth.group", "clients.client"):
                    self.assertTrue(page.list_filter or page.date_hierarchy)
                if label != "auth.group":
                    self.assertGreater(len(page.list_display), 1)

    def test_no_two_models_have_one_name(self) -> None:
        for name in ("verbose_name", "verbose_name_plural"):
            names = [str(getattr(page.opts, name)) for page in self.pages().values()]
            self.assertEqual(sorted(set(names)), sorted(names))

    def test_each_list_answers_a_search(self) -> None:
        for label in self.pages():
            with self.subTest(label):
                self.queries(label, "?q=ab")

    def test_no_list_asks_more_for_more_rows(self) -> None:
        for label, make in MAKERS.items():
            with self.subTest(label):
                for _ in range(_ROWS):
                    make()
                few = self.queries(label)
                for _ in range(_ROWS):
                    make()
                self.assertEqual(len(self.queries(label)), len(few), few)

    def test_no_page_loads_a_vector(self) -> None:
        for model in apps.get_models():
            label = model._meta.label_lower
            if not heavy_columns(model) or label not in self.pages():
                continue
            if label in MAKERS:
                MAKERS[label]()
            asked = self.queries(label)
            row = model._default_manager.first()
            if row is not None:
                asked += self.queries(label, f"{row.pk}/change/")
            for column in heavy_columns(model):
                with self.subTest(label):
                    self.assertFalse([sql for sql in asked if column in sql])

    def test_every_model_of_ours_that_holds_work_or_keys_has_a_page(self) -> None:
        expected = {
            "submissions.submission",
            "analysis.analysis",
            "analysis.face",
            "face_encodings.encodedimage",
            "face_encodings.statisticscounter",
            "clients.client",
            "clients.apikey",
            "clients.auditentry",
            "photos.album",
            "photos.photo",
            "photos.reference",
            "recognition.contact",
            "recognition.face",
            "recognition.operation",
            "recognition.user",
        }
        self.assertLessEqual(expected, set(self.pages()))
