"""A gallery moves to a new model: the old one answers until the switch, and ids stay."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import TestCase

from backend.analysis import services as analysis
from backend.common import redis_clients
from backend.recognition.gallery import cache, index, reembedding
from backend.recognition.models import Face, OtherEncoding, Reembedding
from backend.recognition.tests import factories
from backend.recognition.tests.factories import add, person
from safe_http import Client, Download, FetchError
from tests.support import samples

OLD = "an old model"


class ReembeddingTests(TestCase):
    def setUp(self) -> None:
        cache.cache.clear()
        redis_clients.default().flushdb()
        self.user = factories.user()
        self.ann = person()
        self.faces = add(self.user, 1, [self.ann, self.ann], model=OLD)
        self.new = reembedding.current_model()
        # Two files of one picture, whose faces are found by the real engine.
        self.images = {
            face.face_url: samples.another(samples.face(), face.pk) for face in self.faces
        }
        for face in self.faces:
            sha256 = hashlib.sha256(self.images[face.face_url]).hexdigest()
            Face.objects.filter(pk=face.pk).update(sha256=sha256)
        self.enterContext(mock.patch.object(Client, "fetch_many", self.fetched))
        # A process of the old model knows its thresholds.
        known = analysis.thresholds(self.new)
        self.enterContext(mock.patch.object(analysis, "thresholds", lambda model: known))

    def fetched(self, urls: Sequence[str]) -> list[Download | FetchError]:
        """The downloads, without a network."""
        return [self.one(self.images.get(url)) for url in urls]

    def one(self, data: bytes | None) -> Download | FetchError:
        if data is None:
            return FetchError("It is gone.", permanent=True)
        sha256 = hashlib.sha256(data).hexdigest()
        return Download(io.BytesIO(data), sha256, len(data), "jpeg", "https://images.example/")

    def run_command(self, *options: str) -> str:
        out = io.StringIO()
        call_command("reembed_galleries", *options, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    def best(self, probe: Any, model: str) -> list[int]:
        return [each.face for each in cache.identify(self.user, probe, model=model)]

    def test_all_faces_are_swapped_at_once_and_keep_their_ids(self) -> None:
        with self.assertRaises(index.OnAnotherModel):
            self.best(self.ann, self.new)
        self.assertIn("All galleries", self.run_command())
        rows = list(Face.objects.with_encodings())
        self.assertEqual([row.pk for row in rows], [face.pk for face in self.faces])
        self.assertEqual({row.model for row in rows}, {self.new})
        # By the new model, and for processes that still run it by the old one.
        self.assertEqual(self.best(rows[0].encoding, self.new), [rows[0].pk])
        self.assertEqual(self.best(self.ann, OLD), [rows[0].pk])
        self.run_command("--finish")
        cache.cache.clear()
        self.assertEqual(OtherEncoding.objects.count(), 0)

    def test_the_old_model_answers_until_every_face_is_done(self) -> None:
        self.best(self.ann, OLD)
        url = self.faces[1].face_url
        kept = self.images.pop(url)
        with self.assertRaisesRegex(CommandError, "1 users stay"):
            self.run_command()
        self.assertEqual(self.best(self.ann, OLD), [self.faces[0].pk])
        found = reembedding.progress(self.user)
        self.assertEqual((found["faces"], found["done"], found["switched_at"]), (2, 1, None))
        gone = [{"id": self.faces[1].pk, "reason": "It is gone."}]
        self.assertEqual(found["unobtainable"], gone)
        self.images[url] = kept
        with mock.patch.object(reembedding, "_embed", wraps=reembedding._embed) as embedded:
            self.run_command()
        # What was done is not done again.
        self.assertEqual([face.pk for face in embedded.call_args.args[0]], [self.faces[1].pk])
        self.assertEqual(set(Face.objects.values_list("model", flat=True)), {self.new})

    def test_faces_without_an_image_are_dropped_only_on_request(self) -> None:
        Face.objects.filter(pk=self.faces[1].pk).update(face_url="")
        with self.assertRaises(CommandError):
            self.run_command()
        self.assertIn(reembedding.NO_URL, self.run_command("--drop"))
        first = Face.objects.with_encodings().get(pk=self.faces[0].pk)
        self.assertEqual(self.best(first.encoding, self.new), [first.pk])
        self.assertEqual(Face.objects.get(pk=self.faces[1].pk).model, OLD)

    def test_a_changed_image_at_the_url_is_not_encoded(self) -> None:
        self.images[self.faces[0].face_url] = samples.another(samples.face(), 99)
        row = reembedding.embed(self.user, on_progress=lambda done: None)
        self.assertEqual(row.unobtainable, {str(self.faces[0].pk): reembedding.CHANGED})

    def test_faces_added_meanwhile_wait_for_the_next_run(self) -> None:
        reembedding.embed(self.user, on_progress=lambda done: None)
        add(self.user, 2, [person()], model=OLD)
        self.assertFalse(reembedding.switch(self.user))
        self.assertEqual(set(Face.objects.values_list("model", flat=True)), {OLD})
        self.assertFalse(Reembedding.objects.filter(switched_at__isnull=False).exists())

    def test_encodings_are_deleted_with_their_face(self) -> None:
        reembedding.embed(self.user, on_progress=lambda done: None)
        Face.objects.all().delete()
        self.assertFalse(OtherEncoding.objects.exists())
