"""Galleries with another encoder than dlib's, and the way there and back: no name is lost."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import TestCase

from backend.analysis.services import DLIB, Finished
from backend.clients.models import ANONYMOUS_ID
from backend.common import redis_clients
from backend.recognition.gallery import cache, index, reembedding, search
from backend.recognition.models import Contact, Face, OperationImage, OtherEncoding
from backend.recognition.operations import preparation
from backend.recognition.tests import factories
from backend.recognition.tests.base import OBAMA, RecognitionCase, counts, ids
from backend.recognition.tests.factories import add, person
from backend.recognition.tests.test_transfer import exported, imported, joined
from backend.recognition.transfer.jsonl import Unreadable
from safe_http import Client, Download, FetchError
from tests.support import samples
from tests.support.encoder_in_use import encoder_in_use

NUMBERS = 512


class OtherEncoderTests(RecognitionCase):
    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"/recognition{path}", body, content_type="application/json")

    def enrol(self) -> Any:
        faces = [{"face_id": 1, "face_url": self.web.put(OBAMA), "score": 1.0}]
        return self.post("/users/7/contacts/5/faces", faces).json()

    def test_enrolled_recognised_searched_exported(self) -> None:
        with encoder_in_use() as encoder:
            self.assertEqual(counts(self.enrol()), (1, 0, 0, 0))
            face = Face.objects.with_encodings().get()
            self.assertEqual((face.encoding.shape, face.model), ((NUMBERS,), encoder.name))
            found = self.post("/users/7/recognize", {"face_url": self.web.put(OBAMA)}).json()
            self.assertEqual(ids(found), [1])
            self.assertGreater(found[0]["recognition_confidence"], 0.9)
            encoding = face.encoding.tolist()
            named = {"encoding": encoding, "model": encoder.name}
            (match,) = self.post("/search", named).json()["matches"]
            self.assertEqual(match["contact_id"], 5)
            for body, sentence in (
                ({"encoding": encoding}, "128 numbers, not 512. Name the model"),
                ({"encoding": encoding[:128]}, f"of {DLIB} cannot be compared"),
                ({**named, "encoding": encoding[:128]}, f"{encoder.name} has 512 numbers, not 128"),
                ({**named, "model": "another"}, "no encoder “another”"),
            ):
                answer = self.post("/search", body)
                self.assertEqual(answer.status_code, 400)
                self.assertIn(sentence, answer.json()["encoding"][0])
            lines = exported(face.user)
            imported(joined(lines), user_id=8)
            copy = Face.objects.with_encodings().get(user__user_id=8)
            self.assertEqual((copy.encoding.tolist(), copy.model), (encoding, encoder.name))
            (line,) = [line["face"] for line in lines if "face" in line]
            line["model"] = DLIB
            with self.assertRaisesRegex(Unreadable, "has 128 numbers, not 512"):
                imported(joined(lines), user_id=9)

    def test_an_image_of_another_model_is_not_enrolled(self) -> None:
        image = OperationImage(analysis_id=1, sha256="a" * 64)
        found = preparation._finding(image, Finished(1, "", "another"))
        self.assertEqual((found.reason, found.face), (preparation.OTHER_MODEL, None))


class MoveTests(TestCase):
    """A gallery of dlib's encodings, whose images are found by the real engine."""

    def setUp(self) -> None:
        cache.cache.clear()
        redis_clients.default().flushdb()
        self.user = factories.user()
        self.faces = add(self.user, 1, [person() for _ in range(3)], model=DLIB)
        self.images = {
            face.face_url: samples.another(samples.face(), face.pk) for face in self.faces
        }
        for face in self.faces:
            sha256 = hashlib.sha256(self.images[face.face_url]).hexdigest()
            Face.objects.filter(pk=face.pk).update(sha256=sha256)
        Contact.objects.update(name="Ann")
        self.enterContext(mock.patch.object(Client, "fetch_many", self.fetched))

    def fetched(self, urls: Sequence[str]) -> list[Download | FetchError]:
        """The downloads, without a network."""
        return [self.one(self.images[url]) for url in urls]

    def one(self, data: bytes) -> Download:
        sha256 = hashlib.sha256(data).hexdigest()
        return Download(io.BytesIO(data), sha256, len(data), "jpeg", "https://images.example/")

    def move(self, *options: str) -> str:
        out = io.StringIO()
        call_command("reembed_galleries", *options, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    def stored(self) -> list[tuple[Any, ...]]:
        rows = Face.objects.with_encodings().order_by("pk")
        return [(row.pk, row.contact.name, row.encoding.tobytes(), row.model) for row in rows]

    def best(self, encoding: Any, model: str) -> list[int]:
        return [each.face for each in cache.identify(self.user, encoding, model=model)]

    def test_there_and_back_with_both_models_meanwhile(self) -> None:
        before = self.stored()
        probe = self.faces[1].encoding
        with encoder_in_use() as encoder:
            with self.assertRaises(index.OnAnotherModel):
                self.best([0.0] * NUMBERS, encoder.name)
            self.move()
            after = self.stored()
            self.assertEqual([row[:2] for row in after], [row[:2] for row in before])
            self.assertEqual({row[3] for row in after}, {encoder.name})
            new = Face.objects.with_encodings().get(pk=self.faces[2].pk).encoding
            self.assertEqual(new.shape, (NUMBERS,))
            self.assertIn(
                self.faces[0].contact_id,
                {each.contact for each in cache.identify(self.user, new, model=encoder.name)},
            )
            # A face that the new service enrols has to be encoded on the way back.
            added = add(self.user, 2, [new], model=encoder.name)
        # The service still runs dlib, and answers as before.
        self.assertEqual(self.best(probe, DLIB), [self.faces[1].pk])
        url = added[0].face_url
        self.images[url] = samples.another(samples.face(), 99)
        sha256 = hashlib.sha256(self.images[url]).hexdigest()
        Face.objects.filter(pk=added[0].pk).update(sha256=sha256)
        with mock.patch.object(reembedding, "_embed", wraps=reembedding._embed) as embedded:
            self.move()
        self.assertEqual([each.pk for each in embedded.call_args.args[0]], [added[0].pk])
        self.assertEqual(self.stored()[:3], before)
        self.assertEqual(self.stored()[3][3], DLIB)
        self.assertIn("Deleted 4 old encodings", self.move("--finish"))
        self.assertFalse(OtherEncoding.objects.exists())

    def test_killed_half_way_it_goes_on_and_the_old_model_answers(self) -> None:
        probe, encoded = self.faces[1].encoding, reembedding._encoding
        done: list[int] = []

        def killed(face: Face, *args: Any, **options: Any) -> Any:
            if len(done) == 2:
                raise SystemExit
            done.append(face.pk)
            return encoded(face, *args, **options)

        with encoder_in_use() as encoder, mock.patch.object(reembedding, "_AT_A_TIME", 1):
            with (
                mock.patch.object(reembedding, "_encoding", killed),
                self.assertRaises(SystemExit),
            ):
                self.move()
            # The service of the old model shows how far it is.
            with self.settings(FACES_ENCODER="dlib"):
                progress = reembedding.progress(self.user)
                self.assertEqual(self.best(probe, DLIB), [self.faces[1].pk])
            self.assertEqual((progress["model"], progress["done"]), (encoder.name, 2))
            with mock.patch.object(reembedding, "_encoding", wraps=encoded) as again:
                self.move()
            self.assertEqual([call.args[0].pk for call in again.call_args_list], [self.faces[2].pk])

    def test_a_face_without_its_image_keeps_the_old_encoding_and_is_listed(self) -> None:
        Face.objects.filter(pk=self.faces[0].pk).update(face_url="")
        with encoder_in_use(), self.assertRaisesRegex(CommandError, "1 users stay"):
            self.move()
        listed = reembedding.progress(self.user)["unobtainable"]
        self.assertEqual([each["id"] for each in listed], [self.faces[0].pk])
        self.assertEqual({row[3] for row in self.stored()}, {DLIB})

    def test_thresholds_are_suggested_for_a_model_without(self) -> None:
        out = io.StringIO()
        with encoder_in_use(facts="") as encoder:
            for number in range(6):
                who = factories.person(NUMBERS)
                near = [factories.near(who, 0.3) for _ in range(4)]
                add(factories.user(2), number, near, model=encoder.name)
            call_command("calibrate_confidence", "--user", "2", stdout=out)
            found = cache.identify(factories.user(2), who, model=encoder.name)
        self.assertEqual(found, [])  # nothing is guessed
        self.assertRegex(
            out.getvalue(),
            r"\[thresholds\]\nsame_person = 0\.\d+\nmatch_distance = 0\.\d+\nslope = \d+\.\d+\n"
            r"midpoint = 0\.\d+\nceiling = 0\.\d+\n$",
        )


class IndexTests(TestCase):
    def test_postgresql_has_an_index_of_each_size_of_a_model_in_use(self) -> None:
        if connection.vendor != "postgresql":
            self.skipTest("SQLite has no such index")
        for size, model in ((128, "small"), (512, "large"), (200, "odd")):
            people = [person(size) for _ in range(12)]
            for number, each in enumerate(people):
                add(factories.user(number), number, [factories.near(each, 0.3)], model=model)
        users = [factories.user(number).pk for number in range(12)]
        with mock.patch.object(search, "_EXACT_FACES", 1), connection.cursor() as cursor:
            for option in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
                cursor.execute(f"SET LOCAL {option} = off")
            for size, model in ((128, "small"), (512, "large"), (200, "odd")):
                rows = Face.objects.with_encodings().filter(model=model)
                probe = factories.near(rows.get(user=users[7]).encoding, 0.1)
                exact = search.exactly(users, probe, model=model, at_most=3)
                found = search.nearest(users, probe, model=model, at_most=3)
                self.assertEqual(found, exact)
                self.assertEqual(Face.objects.get(pk=found[0].id).user_id, users[7])
                if size in (128, 512):
                    which: dict[str, Any] = {"users": users, "model": model, "limit": 3}
                    probe_text = str(probe.tolist())
                    cursor.execute(
                        f"EXPLAIN {search.by_index_sql(size)}", {**which, "probe": probe_text}
                    )
                    self.assertIn(f"gallery_face_nearest_{size}", str(cursor.fetchall()))


class OwnersTests(TestCase):
    def test_the_search_over_all_users_is_of_one_model(self) -> None:
        small, large = person(), person(NUMBERS)
        add(factories.user(1), 1, [small], model=DLIB)
        add(factories.user(2), 2, [large], model="large")
        found = search.best(ANONYMOUS_ID, small, model=DLIB, at_most=9)
        self.assertEqual(len(found), 1)
        self.assertEqual(search.best(ANONYMOUS_ID, large, model="large", at_most=9), [])
