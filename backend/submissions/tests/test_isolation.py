"""What is one client's is nobody else's: not seen, not counted, not deleted, not even known of."""

import hashlib
import io
import time
import uuid
from typing import Any
from unittest import mock

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Http
from django.test import TransactionTestCase, override_settings
from django.utils import timezone

import faceengine
from backend.analysis import services as analysis
from backend.analysis.models import Analysis, Face
from backend.clients import erasure
from backend.clients.models import ANONYMOUS_ID, AuditEntry, Client
from backend.clients.tests import factories
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.submissions import events, services, tasks
from backend.submissions.models import Submission
from tests.support import image_factories, photographs
from wire import events as wire

OBAMA = photographs.read("obama.jpg")
FACELESS = image_factories.encoded(image_factories.faceless())


def submitted(name: str = "alice", data: bytes = OBAMA) -> Submission:
    owner_id = ANONYMOUS_ID if name == "anonymous" else factories.client(name).pk
    submission = services.accept(ContentFile(data, name="a.jpg"), owner_id=owner_id)
    tasks.process(str(submission.pk))
    submission.refresh_from_db()
    return submission


class IsolationCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()


class MatrixTests(IsolationCase):
    """Every endpoint × every kind of caller."""

    def setUp(self) -> None:
        super().setUp()
        submission = submitted("alice")
        self.endpoints = [
            ("post", "/image/", "upload"),
            ("get", "/image/", "read"),
            ("get", f"/image/{submission.pk}/", "read"),
            ("get", f"/image/{submission.pk}/faces/", "read"),
            ("post", f"/image/{submission.pk}/faces/", "upload"),
            ("delete", f"/image/{submission.pk}/faces/", "upload"),
            ("get", f"/image/{submission.pk}/faces/0/crop.jpg", "read"),
            ("get", f"/image/{submission.pk}/original", "read"),
            ("get", submission.result.url, "read"),
            ("get", "/client/", "read"),
            ("delete", f"/image/{submission.pk}/", "upload"),
            ("delete", "/client/", "admin"),
        ]
        self.own_paths = [path for _, path, _ in self.endpoints if str(submission.pk) in path]

    def status(self, method: str, path: str, headers: dict[str, str]) -> int:
        return int(getattr(Http(), method)(path, headers=headers).status_code)

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_without_a_good_key_everything_is_401(self) -> None:
        expired = factories.key_of("alice", expires_at=timezone.now())[1]
        revoked, revoked_text = factories.key_of("alice")
        revoked.revoked = True
        revoked.save()
        kinds = {"no key": {}, "bad": {"x-api-key": "a.b"}, "expired": {"x-api-key": expired}}
        kinds["revoked"] = {"x-api-key": revoked_text}
        for kind, headers in kinds.items():
            for method, path, _ in self.endpoints:
                with self.subTest(f"{kind}: {method} {path}"):
                    self.assertEqual(self.status(method, path, headers), 401)

    def test_a_key_without_the_scope_is_403(self) -> None:
        for method, path, needed in self.endpoints:
            others = [scope for scope in factories.EVERYTHING if scope != needed]
            with self.subTest(f"{method} {path}"):
                self.assertEqual(self.status(method, path, factories.headers("alice", others)), 403)

    def test_anothers_object_is_answered_as_one_that_does_not_exist(self) -> None:
        bob = factories.headers("bob")
        for method, path, _ in self.endpoints:
            if path not in self.own_paths:
                continue
            nothing = path.replace(path[-40:], str(uuid.uuid4()))
            with self.subTest(f"{method} {path}"):
                theirs = getattr(Http(), method)(path, headers=bob)
                self.assertEqual(theirs.status_code, 404)
                if path.endswith("/"):
                    nothing = path.replace(str(path.split("/")[2]), str(uuid.uuid4()))
                    missing = getattr(Http(), method)(nothing, headers=bob)
                    self.assertEqual(theirs.content, missing.content)
        self.assertTrue(Submission.objects.exists())

    def test_the_anonymous_of_open_mode_do_not_reach_what_came_with_a_key(self) -> None:
        for method, path, _ in self.endpoints:
            if path in self.own_paths:
                with self.subTest(f"{method} {path}"):
                    self.assertEqual(self.status(method, path, {}), 404)

    def test_the_owner_reaches_all_of_it(self) -> None:
        alice = factories.headers("alice")
        expected = [400, 200, 200, 200, 415, 400, 200, 200, 200, 200, 204, 202]
        statuses = [self.status(method, path, alice) for method, path, _ in self.endpoints]
        self.assertEqual(statuses, expected)

    def test_a_client_lists_its_own_and_pages_through_them(self) -> None:
        alice, bob = factories.headers("alice"), factories.headers("bob")
        mine = {str(pk) for pk in Submission.objects.values_list("pk", flat=True)}
        mine |= {str(submitted("alice", FACELESS).pk) for _ in range(2)}
        submitted("bob")
        path, seen = "/image/?limit=2", []
        while path:
            page = Http().get(path, headers=alice).json()
            seen += [each["id"] for each in page["results"]]
            path = page["next"]
        self.assertEqual((len(seen), set(seen)), (3, mine))
        by_bytes = f"/image/?sha256={hashlib.sha256(OBAMA).hexdigest().upper()}"
        for headers in (alice, bob):
            (found,) = Http().get(by_bytes, headers=headers).json()["results"]
            self.assertEqual((found["id"] in mine, found["faces_count"]), (headers is alice, 1))
        self.assertEqual(Http().get("/image/").json(), {"results": [], "next": None})
        for bad in ("limit=0", "limit=x", "before=1", "sha256=1"):
            self.assertEqual(Http().get(f"/image/?{bad}", headers=alice).status_code, 400)

    def test_the_faces_of_an_image_come_with_encoding_and_quality(self) -> None:
        submission = submitted("anonymous")
        found = Http().get(f"/image/{submission.pk}/faces").json()
        self.assertEqual(found["status"], "done")
        (face,) = found["faces"]
        self.assertEqual(face["box"], services.event_faces(submission)[0]["box"])
        self.assertEqual(len(face["encoding"]), 128)
        self.assertIsNone(face["quality"]["too_poor"])


class SameBytesTests(IsolationCase):
    def test_the_same_bytes_of_two_clients_are_two_analyses(self) -> None:
        with mock.patch.object(faceengine, "find_faces", wraps=faceengine.find_faces) as find:
            submitted("alice")
            submitted("bob")
        self.assertEqual((find.call_count, Analysis.objects.count()), (2, 2))

    def test_the_same_bytes_of_one_client_are_analysed_once(self) -> None:
        for name in ("alice", "anonymous"):
            with (
                self.subTest(name),
                mock.patch.object(faceengine, "find_faces", wraps=faceengine.find_faces) as find,
            ):
                submitted(name)
                submitted(name)
                self.assertEqual(find.call_count, 1)

    def test_what_one_erases_the_other_keeps(self) -> None:
        theirs, mine = submitted("alice"), submitted("bob")
        services.erase(theirs)
        mine.refresh_from_db()
        self.assertEqual(len(services.event_faces(mine)), 1)


class LinkTests(IsolationCase):
    def test_a_signed_link_opens_its_image_and_no_other(self) -> None:
        submission, other = submitted(), submitted(data=FACELESS)
        link = events.image_url(submission) or ""
        path = link.removeprefix("http://localhost:8282")
        answer = self.client.get(path)
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer["X-Accel-Redirect"], f"/_media/{submission.result.name}")
        original = f"/image/{other.pk}/original?{path.partition('?')[2]}"
        self.assertEqual(self.client.get(original).status_code, 403)

    def test_a_link_that_was_changed_or_has_expired_opens_nothing(self) -> None:
        path = (events.image_url(submitted()) or "").removeprefix("http://localhost:8282")
        bare, _, query = path.partition("?")
        for changed in (
            f"{bare}?{query}0",
            path.replace("expires=1", "expires=2"),
            f"{bare}?expires=9999999999&signature=",
            f"{bare}?signature=x",
            f"{bare}?expires=99999999999",
            path.replace("expires=", "expires=%D9%A1"),
        ):
            with self.subTest(changed):
                self.assertEqual(self.client.get(changed).status_code, 403)
        with mock.patch.object(time, "time", return_value=time.time() + 2 * 86_400):
            self.assertEqual(self.client.get(path).status_code, 403)

    def test_in_open_mode_a_shared_image_has_a_plain_address(self) -> None:
        submission = submitted("anonymous")
        self.assertNotIn("?", events.image_url(submission) or "?")
        self.assertEqual(self.client.get(submission.result.url).status_code, 200)
        with override_settings(FACES_REQUIRE_API_KEY=True):
            self.assertIn("signature=", events.image_url(submission) or "")

    def test_an_upload_cannot_run_as_a_page(self) -> None:
        submission = submitted("anonymous")
        answer = self.client.get(f"/image/{submission.pk}/original")
        self.assertEqual(answer["Content-Type"], "image/jpeg")
        self.assertEqual(answer["X-Content-Type-Options"], "nosniff")
        self.assertIn("sandbox", answer["Content-Security-Policy"])


class LimitTests(IsolationCase):
    def post(self, **headers: str) -> int:
        file = SimpleUploadedFile("a.jpg", FACELESS)
        return int(self.client.post("/image/", {"image": file}, headers=headers).status_code)

    def test_a_quota_is_exact_and_room_comes_back(self) -> None:
        key = factories.key_of("alice")[1]
        Client.objects.filter(name="alice").update(quota_bytes=2 * len(FACELESS))
        self.assertEqual([self.post(x_api_key=key) for _ in range(3)], [202, 202, 429])
        services.erase(Submission.objects.all()[0])
        self.assertEqual(self.post(x_api_key=key), 202)
        self.assertEqual(Client.objects.get(name="alice").stored_bytes, 2 * len(FACELESS))

    @override_settings(FACES_MAX_PENDING=2)
    def test_who_has_too_many_waiting_is_told_to_wait_and_others_are_not(self) -> None:
        self.assertEqual([self.post() for _ in range(3)], [202, 202, 429])
        self.assertEqual(self.post(x_api_key=factories.key_of("bob")[1]), 202)

    @override_settings(FACES_MAX_BACKLOG=2)
    def test_past_the_backlog_everybody_is_asked_to_come_later(self) -> None:
        self.assertEqual([self.post() for _ in range(3)], [202, 202, 503])

    def test_what_is_refused_leaves_no_file_and_takes_no_room(self) -> None:
        with override_settings(FACES_MAX_PENDING=1):
            self.post()
            before = Client.objects.get(pk=ANONYMOUS_ID).stored_bytes
            self.post()
        self.assertEqual(Client.objects.get(pk=ANONYMOUS_ID).stored_bytes, before)
        self.assertEqual(Submission.objects.count(), 1)


class ErasureTests(IsolationCase):
    def test_everything_of_a_client_is_gone_from_every_store(self) -> None:
        alice, bob = submitted("alice"), submitted("bob", FACELESS)
        waiting = services.accept(ContentFile(OBAMA, name="b.jpg"), owner_id=alice.owner_id)
        answer = self.client.delete("/client/", headers=factories.headers("alice"))
        self.assertEqual((answer.status_code, answer.json()["erasing"]), (202, True))
        while Client.objects.get(name="alice").erasing_since:
            erasure.run_step()
        self.assertEqual(list(Submission.objects.all()), [bob])
        self.assertEqual(Face.objects.count(), 0)
        self.assertEqual(Analysis.objects.get().sha256, bob.sha256)
        for name in (alice.image.name, alice.result.name, waiting.image.name):
            self.assertFalse(default_storage.exists(name or ""))
        self.assertEqual(queues.waiting(queues.UPLOADS), {bob.job_id})
        in_redis = _everything_in_redis()
        for id in (alice.pk, waiting.pk):
            self.assertNotIn(str(id), in_redis)
        self.assertEqual(Client.objects.get(name="alice").stored_bytes, 0)
        noted = set(AuditEntry.objects.values_list("action", flat=True))
        self.assertLessEqual({"erase client's data", "erased client's data"}, noted)

    def test_while_it_is_erased_nothing_new_is_taken(self) -> None:
        factories.client("alice")
        erasure.request(factories.client("alice").pk, actor="test")
        file = SimpleUploadedFile("a.jpg", FACELESS)
        answer = self.client.post("/image/", {"image": file}, headers=factories.headers("alice"))
        self.assertEqual(answer.status_code, 503)

    def test_nobody_empties_the_shared_space_of_open_mode_by_a_call(self) -> None:
        self.assertEqual(self.client.delete("/client/").status_code, 403)

    def test_one_image_goes_by_one_call(self) -> None:
        submission = submitted("alice")
        path = f"/image/{submission.pk}/"
        self.assertEqual(
            self.client.delete(path, headers=factories.headers("alice")).status_code, 204
        )
        self.assertEqual(self.client.get(path, headers=factories.headers("alice")).status_code, 404)
        self.assertFalse(Analysis.objects.exists())
        self.assertNotIn(str(submission.pk), _everything_in_redis())

    def test_a_client_erased_while_its_image_is_in_work_leaves_nothing(self) -> None:
        alice = factories.client("alice")
        submission = services.accept(ContentFile(OBAMA, name="b.jpg"), owner_id=alice.pk)
        found = analysis.analyse

        def erase_meanwhile(image: io.BytesIO, **options: Any) -> analysis.Result:
            result = found(image, **options)
            erasure.erase_now(alice.pk, actor="test")
            return result

        with mock.patch.object(analysis, "analyse", erase_meanwhile):
            tasks.process(str(submission.pk))
        self.assertFalse(Analysis.objects.exists())
        self.assertFalse(Submission.objects.exists())
        result = submission.result.field.generate_filename(submission, "result.jpg")
        self.assertFalse(default_storage.exists(result))
        self.assertEqual(redis_clients.default().xlen(wire.STREAM), 0)


def _everything_in_redis() -> str:
    """Every key and every value: what should be gone must be in none."""
    client: Any = redis_clients.default()
    parts: list[object] = []
    for key in client.keys("*"):
        kind = client.type(key)
        read = {
            "string": client.get,
            "hash": client.hgetall,
            "list": lambda name: client.lrange(name, 0, -1),
            "set": client.smembers,
            "zset": lambda name: client.zrange(name, 0, -1),
            "stream": client.xrange,
        }[str(kind)]
        try:
            parts += [key, read(key)]
        except UnicodeDecodeError:  # a job's zlib data; jobs are looked for by their key
            parts.append(key)
    return str(parts)
