"""Feedback, quality, export, import, search and re-embedding over HTTP, by owner."""

import json
import uuid
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TransactionTestCase, override_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.clients.models import Scope
from backend.clients.tests import factories as clients
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.recognition.gallery import cache, reembedding
from backend.recognition.models import Face, Kind, Operation, User
from backend.recognition.tests import factories
from backend.recognition.tests.factories import add, near, person
from tests.support import samples


def run_at_once(queue: str, task: str, argument: str, *, job_id: str) -> bool:
    import_string(task)(argument)
    return True


class RestTests(TransactionTestCase):
    def setUp(self) -> None:
        cache.cache.clear()
        redis_clients.default().flushdb()
        self.model = reembedding.current_model()
        self.alice, self.bob = clients.headers("alice"), clients.headers("bob")
        self.owner = clients.client("alice")
        self.user = factories.user(7, owner_id=self.owner.pk)
        self.ann, self.bea = person(), person()
        self.faces = add(self.user, 1, [near(self.ann, 0.3)], model=self.model)
        add(self.user, 2, [near(self.bea, 0.3)], model=self.model)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return self.client.get(f"/recognition{path}", headers=headers or self.alice)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        address, headers = f"/recognition{path}", headers or self.alice
        if any(isinstance(value, SimpleUploadedFile) for value in body.values()):
            return self.client.post(address, body, headers=headers)
        return self.client.post(address, body, content_type="application/json", headers=headers)

    def answer(self, face: Face) -> uuid.UUID:
        return Operation.objects.create(
            owner=self.owner,
            user=self.user,
            sequence=Operation.objects.count() + 1,
            kind=Kind.RECOGNISE,
            status=Status.DONE,
            processed_at=timezone.now(),
            result={"faces": [{"id": face.pk, "recognition_confidence": 0.9}]},
        ).pk

    def exported(self, query: str = "") -> bytes:
        response = self.get(f"/users/7/export{query}")
        self.assertEqual(response.status_code, 200)
        return b"".join(response.streaming_content)

    def test_feedback_is_counted_in_quality(self) -> None:
        for said in ({"right": True}, {"contact_id": 1}, {"contact_id": 2}, {"contact_id": None}):
            path = f"/users/7/answers/{self.answer(self.faces[0])}/feedback/"
            response = self.post(path, said)
            self.assertEqual((response.status_code, response.json()["named"]), (200, 1))
        found = self.get("/users/7/quality").json()
        self.assertEqual((found["answers"], found["right"], found["wrong"]), (4, 2, 2))
        self.assertEqual(found["precision"]["value"], 0.5)

    def test_operation_id_of_a_recognition_takes_feedback(self) -> None:
        face = SimpleUploadedFile("a.jpg", samples.face())
        probe = SimpleUploadedFile("b.jpg", samples.another(samples.face(), 1))
        with mock.patch.object(queues, "enqueue", side_effect=run_at_once):
            form = {"image": face, "face_id": "5", "score": "1"}
            added = self.post("/users/7/contacts/9/faces/", form)
            self.assertEqual(len(added.json()["added"]), 1, added.content)
            answer = self.post("/users/7/recognize/", {"image": probe})
        self.assertEqual([each["contact_id"] for each in answer.json()], [9])
        path = f"/users/7/answers/{answer['Operation-Id']}/feedback/"
        self.assertEqual(self.post(path, {"right": True}).json()["truth"], 9)
        self.assertEqual(self.get("/users/7/quality").json()["precision"]["value"], 1.0)

    def test_invalid_feedback_is_400_and_an_unknown_answer_404(self) -> None:
        path = f"/users/7/answers/{self.answer(self.faces[0])}/feedback"
        for bad in (
            {},
            {"right": 1},
            {"right": None},
            {"right": True, "contact_id": 1},
            {"contact_id": "1"},
            {"contact_id": True},
            {"contact_id": 99},
            {"contact_id": 2**70},
        ):
            with self.subTest(bad):
                self.assertEqual(self.post(path, bad).status_code, 400)
        self.assertEqual(self.post(path, {"right": True}, self.bob).status_code, 404)
        nobodys = f"/users/7/answers/{uuid.uuid4()}/feedback"
        self.assertEqual(self.post(nobodys, {"right": True}).status_code, 404)

    def test_an_export_is_imported_as_another_user_also_of_another_client(self) -> None:
        for query in ("", "?compress=gzip"):
            file = SimpleUploadedFile("user.jsonl", self.exported(query))
            response = self.post("/users/8/import/", {"file": file}, self.bob)
            self.assertEqual(response.status_code, 201, response.content)
            body = response.json()
            self.assertEqual((body["contacts"], body["faces"]), (2, 2))
            self.assertEqual(set(body["ids"]), {str(pk) for pk in self.all_faces()})
            again = SimpleUploadedFile("user.jsonl", self.exported())
            self.assertEqual(
                self.post("/users/8/import", {"file": again}, self.bob).status_code, 409
            )
            Face.objects.filter(user__owner__name="bob").delete()

    @override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05)
    def test_an_export_waits_for_the_calls_before_it(self) -> None:
        Operation.objects.create(
            owner=self.owner, user=self.user, sequence=1, kind=Kind.DELETE_USER
        )
        User.objects.filter(pk=self.user.pk).update(accepted_seq=1)
        answer = self.get("/users/7/export")
        self.assertEqual(answer.status_code, 503)
        self.assertIn("Retry-After", answer)

    def all_faces(self) -> list[int]:
        return [face.pk for face in Face.objects.filter(user=self.user)]

    def test_an_invalid_import_is_400_with_its_line(self) -> None:
        for bad in (b"", b"not an export", self.exported()[:-30]):
            response = self.post("/users/8/import", {"file": SimpleUploadedFile("a", bad or b" ")})
            self.assertEqual(response.status_code, 400)
            self.assertRegex(response.json()["file"][0], "^Line \\d+: ")
        nothing = self.client.post("/recognition/users/8/import", {}, headers=self.alice)
        self.assertEqual(nothing.json(), {"file": ["Send one exported user."]})

    @override_settings(FACES_MAX_UPLOAD_BYTES=10)
    def test_too_large_an_import_is_413(self) -> None:
        file = SimpleUploadedFile("a", b"x" * 11)
        self.assertEqual(self.post("/users/8/import", {"file": file}).status_code, 413)

    def test_the_search_finds_a_contact_of_any_user_by_its_encoding(self) -> None:
        other = factories.user(8, owner_id=self.owner.pk)
        add(other, 5, [near(self.ann, 0.31)], model=self.model)
        body = {"encoding": self.ann.tolist(), "limit": 5}
        matches = self.post("/search", body).json()["matches"]
        self.assertEqual([(m["user_id"], m["contact_id"]) for m in matches], [(7, 1), (8, 5)])
        self.assertGreater(matches[0]["recognition_confidence"], 0.5)
        self.assertEqual(len(self.post("/search", {**body, "limit": 1}).json()["matches"]), 1)
        self.assertEqual(self.post("/search/", body, self.bob).json()["matches"], [])

    def test_the_search_takes_an_image_and_stores_nothing_of_it(self) -> None:
        with mock.patch.object(queues, "enqueue", side_effect=run_at_once):
            image = SimpleUploadedFile("a.jpg", samples.face())
            self.assertEqual(self.post("/search", {"image": image}).json(), {"matches": []})
            image = SimpleUploadedFile("a.jpg", samples.no_face())
            self.assertEqual(self.post("/search", {"image": image}).json(), {"matches": None})
        bad = SimpleUploadedFile("a.jpg", b"no image")
        self.assertEqual(self.post("/search", {"image": bad}).status_code, 422)
        analyses = import_string("backend.analysis.models.Analysis").objects
        self.assertFalse(analyses.exists())

    def test_the_search_takes_the_largest_numbers(self) -> None:
        for number in (3.4e38, -3.4e38, 1e-45):
            answer = self.post("/search", {"encoding": [number] * 128})
            self.assertEqual((answer.status_code, answer.json()), (200, {"matches": []}))

    def test_an_invalid_search_is_400(self) -> None:
        good = [0.0] * 128
        for bad in (
            {},
            {"encoding": good[1:]},
            {"encoding": ["0"] * 128},
            {"encoding": [True] * 128},
            {"encoding": [10**400] * 128},
            {"encoding": "text"},
            {"encoding": good, "limit": 0},
            {"encoding": good, "limit": 51},
            {"encoding": good, "limit": "x"},
            {"encoding": good, "limit": True},
            {"image": 7},
            {"face_url": "https://images.example/1.jpg"},
        ):
            with self.subTest(str(bad)[:60]):
                self.assertEqual(self.post("/search", bad).status_code, 400)

    def test_the_progress_of_a_reembedding(self) -> None:
        add(self.user, 3, [person()], model="an old model")
        found = self.get("/users/7/reembedding/").json()
        self.assertEqual((found["model"], found["faces"], found["done"]), (self.model, 3, 2))

    def test_another_clients_user_is_not_found(self) -> None:
        for path in ("quality", "export", "reembedding"):
            self.assertEqual(self.get(f"/users/7/{path}", self.bob).status_code, 404)
            self.assertEqual(self.get(f"/users/{2**64}/{path}").status_code, 404)

    def test_a_key_needs_the_scope(self) -> None:
        others = [scope for scope in Scope.values if scope != Scope.RECOGNISE]
        without = clients.headers("alice", others)
        self.assertEqual(self.get("/users/7/export", without).status_code, 403)
        for path in ("/search", "/users/8/import", f"/users/7/answers/{uuid.uuid4()}/feedback"):
            self.assertEqual(self.post(path, {}, without).status_code, 403)

    def test_an_export_is_json_lines_with_a_head_and_an_end(self) -> None:
        lines = [json.loads(line) for line in self.exported().splitlines()]
        self.assertEqual(lines[0]["format"], "faces-gallery")
        self.assertEqual(lines[-1], {"end": {"contact": 2, "face": 2, "feedback": 0}})
