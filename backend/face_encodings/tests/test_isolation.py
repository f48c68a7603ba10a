"""A client that never sent the bytes gets nothing of them: neither by hash nor out of a cache."""

from typing import Any
from unittest import mock

from django.core.files.storage import default_storage
from django.test import Client as Http
from django.test import override_settings
from django.utils import timezone

import faceengine
from backend.analysis.models import Analysis, Face
from backend.clients import erasure
from backend.clients.models import AuditEntry, Client
from backend.clients.tests import factories
from backend.face_encodings.models import EncodedImage, StatisticsCounter
from backend.face_encodings.tests.base import FACELESS, OBAMA, POST, TWO, EncodingCase, file, sha256

HASH_PATH = f"/face_encoding/{sha256(OBAMA)}"


class MatrixTests(EncodingCase):
    """Every endpoint × every kind of caller."""

    endpoints = (
        ("post", POST, "upload"),
        ("post", "/face_encodings/batch", "upload"),
        ("post", "/verify", "upload"),
        ("get", HASH_PATH, "read"),
        ("get", "/stats/", "read"),
        ("delete", HASH_PATH, "upload"),
    )

    def setUp(self) -> None:
        super().setUp()
        self.post(OBAMA, **factories.headers("alice"))

    def answer(self, method: str, path: str, headers: dict[str, str]) -> Any:
        return getattr(Http(), method)(path, headers=headers)

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_without_a_good_key_everything_is_401(self) -> None:
        expired = factories.key_of("alice", expires_at=timezone.now())[1]
        revoked, revoked_text = factories.key_of("alice")
        revoked.revoked = True
        revoked.save()
        kinds = {"none": {}, "bad": {"x-api-key": "a.b"}, "expired": {"x-api-key": expired}}
        kinds["revoked"] = {"x-api-key": revoked_text}
        for kind, headers in kinds.items():
            for method, path, _ in self.endpoints:
                with self.subTest(f"{kind}: {method} {path}"):
                    self.assertEqual(self.answer(method, path, headers).status_code, 401)

    def test_a_key_without_the_scope_is_403(self) -> None:
        for method, path, needed in self.endpoints:
            others = [scope for scope in factories.EVERYTHING if scope != needed]
            with self.subTest(f"{method} {path}"):
                answer = self.answer(method, path, factories.headers("alice", others))
                self.assertEqual(answer.status_code, 403)

    def test_another_client_and_who_has_no_key_find_what_nobody_sent(self) -> None:
        nothing = f"/face_encoding/{'0' * 64}"
        for headers in (factories.headers("bob"), {}):
            for method in ("get", "delete"):
                theirs = self.answer(method, HASH_PATH, headers)
                missing = self.answer(method, nothing, headers)
                self.assertEqual(theirs.status_code, 422)
                self.assertEqual(theirs.content, missing.content)
                self.assertEqual(theirs.headers.keys(), missing.headers.keys())
            self.assertEqual(self.statistics(**headers), (0, [0.0] * 128))
        self.assertTrue(EncodedImage.objects.exists())

    def test_the_owner_reaches_all_of_it(self) -> None:
        alice = factories.headers("alice")
        statuses = [self.answer(method, path, alice) for method, path, _ in self.endpoints]
        self.assertEqual(
            [answer.status_code for answer in statuses], [422, 422, 400, 200, 200, 204]
        )


class SameBytesTests(EncodingCase):
    def test_the_same_bytes_of_two_clients_are_two_analyses(self) -> None:
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as find:
            answers = [
                self.post(OBAMA, **factories.headers(name)).json() for name in ("alice", "bob")
            ]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual((find.call_count, Analysis.objects.count()), (2, 2))

    def test_a_comparison_uses_no_analysis_of_another_client(self) -> None:
        self.post(OBAMA, **factories.headers("alice"))
        sides = {"image_1": file(OBAMA), "encoding_2": str([0.0] * 128)}
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as find:
            Http().post("/verify", sides, headers=factories.headers("bob"))
        self.assertEqual(find.call_count, 1)

    def test_clients_without_a_key_share_one_analysis(self) -> None:
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as find:
            self.assertEqual(self.post().json(), self.post().json())
        self.assertEqual((find.call_count, Analysis.objects.count()), (1, 1))

    def test_what_one_erases_the_other_keeps(self) -> None:
        bob = factories.headers("bob")
        for headers in (factories.headers("alice"), bob):
            self.post(OBAMA, **headers)
        self.assertEqual(self.delete(OBAMA, **factories.headers("alice")).status_code, 204)
        self.assertEqual(self.get(OBAMA, **bob).status_code, 200)
        self.assertEqual(Face.objects.count(), 1)


class CacheTests(EncodingCase):
    def test_what_has_not_changed_is_304_without_a_body(self) -> None:
        self.post()
        answer = self.get()
        tag = answer["ETag"]
        self.assertRegex(tag, r'^"[0-9a-f]{32}"$')
        for sent in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            again = self.get(if_none_match=sent)
            self.assertEqual((again.status_code, again.content), (304, b""))
            for header in ("ETag", "Cache-Control", "Vary"):
                self.assertEqual(again[header], answer[header])
        self.assertEqual(self.get(if_none_match='"x"').status_code, 200)

    def test_without_reading_the_faces(self) -> None:
        self.post()
        tag = self.get()["ETag"]
        with self.assertNumQueries(1):
            self.get(if_none_match=tag)
        with self.assertNumQueries(2):
            self.get()

    def test_another_image_and_another_detector_have_another_tag(self) -> None:
        self.post()
        self.post(TWO)
        tags = {self.get()["ETag"], self.get(TWO)["ETag"]}
        with override_settings(FACES_MAX_DETECTION_PIXELS=200_000):
            self.post()
            tags.add(self.get()["ETag"])
        self.assertEqual(len(tags), 3)

    def test_only_what_everybody_may_see_is_public(self) -> None:
        self.post()
        self.assertEqual(self.get()["Cache-Control"], "public, max-age=300")
        alice = factories.headers("alice")
        self.post(OBAMA, **alice)
        theirs = self.get(OBAMA, **alice)
        self.assertEqual(theirs["Cache-Control"], "private, max-age=300")
        for each in (self.get(), theirs):
            self.assertLessEqual({"Authorization", "X-Api-Key"}, set(each["Vary"].split(", ")))

    def test_a_tag_opens_nothing(self) -> None:
        alice = factories.headers("alice")
        self.post(OBAMA, **alice)
        tag = self.get(OBAMA, **alice)["ETag"]
        answer = self.get(OBAMA, if_none_match=tag, **factories.headers("bob"))
        self.assertEqual(answer.status_code, 422)
        self.assertNotIn("ETag", answer)

    def test_what_may_change_at_any_moment_is_not_kept(self) -> None:
        for answer in (self.post(), self.client.get("/stats/"), self.batch(OBAMA)):
            self.assertEqual(answer["Cache-Control"], "no-store")


class ErasureTests(EncodingCase):
    def test_everything_of_a_client_is_gone_and_nothing_of_others(self) -> None:
        alice, bob = factories.headers("alice"), factories.headers("bob")
        for data in (OBAMA, TWO, FACELESS):
            self.post(data, **alice)
        self.post(TWO, **bob)
        with self.settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.01):
            self.enqueue.side_effect = None
            self.post(OBAMA + b"waiting", **alice)
        self.assertEqual(self.client.delete("/client/", headers=alice).status_code, 202)
        while Client.objects.get(name="alice").erasing_since:
            erasure.run_step()
        self.assertEqual(EncodedImage.objects.get().owner.name, "bob")
        self.assertEqual(StatisticsCounter.objects.get().owner.name, "bob")
        self.assertEqual(Analysis.objects.get().sha256, sha256(TWO))
        self.assertEqual(self.statistics(**bob)[0], 1)
        waiting = Analysis.objects.values_list("source", flat=True)
        self.assertFalse(any(default_storage.exists(name) for name in waiting if name))

    def test_while_it_is_erased_nothing_new_is_taken(self) -> None:
        alice = factories.headers("alice")
        erasure.request(factories.client("alice").pk, actor="test")
        self.assertEqual(self.post(OBAMA, **alice).status_code, 503)

    def test_a_deletion_is_noted_without_the_hash(self) -> None:
        alice = factories.headers("alice")
        self.post(OBAMA, **alice)
        id = EncodedImage.objects.get().pk
        self.delete(OBAMA, **alice)
        entry = AuditEntry.objects.get(action="erase encoding")
        self.assertEqual(entry.subject, f"encoded image {id}")
