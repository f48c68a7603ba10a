"""Large imports: operations of a worker, in short transactions, all or nothing to see."""

import gzip
import io
import time
import zlib
from typing import Any
from unittest import mock

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import SimpleTestCase, TransactionTestCase, override_settings

from backend.clients.models import ANONYMOUS_ID
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.recognition import tasks
from backend.recognition.gallery import cache, search
from backend.recognition.models import Contact, Face, Kind, Operation, User
from backend.recognition.operations import executor, retention
from backend.recognition.tests import factories
from backend.recognition.tests.factories import MODEL, add, near, person
from backend.recognition.tests.test_rest import run_at_once
from backend.recognition.tests.test_transfer import exported, joined
from backend.recognition.transfer import importer, jsonl

PATH = "/recognition/users/8/import"


@mock.patch.object(importer, "_SMALL_BYTES", 100)
class LargeImportTests(TransactionTestCase):
    def setUp(self) -> None:
        cache.cache.clear()
        redis_clients.default().flushdb()
        self.user = factories.user(7)
        self.ann = person()
        add(self.user, 1, [near(self.ann, 0.3) for _ in range(3)])
        add(self.user, 2, [person()])
        self.lines = exported(self.user)
        self.addCleanup(self.delete_files)

    def post(self, data: bytes | None = None) -> Any:
        file = SimpleUploadedFile("user.jsonl", joined(self.lines) if data is None else data)
        return self.client.post(PATH, {"file": file})

    def waiting(self) -> Operation:
        """An import that no worker has taken yet."""
        with (
            mock.patch.object(queues, "enqueue", return_value=True),
            override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0),
        ):
            answer = self.post()
        self.assertEqual(answer.status_code, 202, answer.content)
        self.assertEqual(answer["Location"], answer.json()["operation_url"])
        return Operation.objects.get(pk=answer.json()["operation_id"])

    def delete_files(self) -> None:
        for name in self.files():
            default_storage.delete(f"gallery_imports/{name}")

    def files(self) -> list[str]:
        if not default_storage.exists("gallery_imports"):
            return []
        return default_storage.listdir("gallery_imports")[1]

    @mock.patch.object(queues, "enqueue", run_at_once)
    def test_one_that_ends_in_time_is_answered_like_a_small_one(self) -> None:
        answer = self.post()
        self.assertEqual(answer.status_code, 201, answer.content)
        body = answer.json()
        self.assertEqual((body["contacts"], body["faces"], body["feedback"]), (2, 4, 0))
        self.assertEqual(set(body["ids"].values()), set(_faces(8)))
        self.assertEqual(self.files(), [])
        self.assertEqual(self.post().status_code, 409)
        bad = self.post(joined(self.lines)[:-20])
        self.assertEqual(bad.status_code, 409)  # before it is read

    @mock.patch.object(queues, "enqueue", run_at_once)
    def test_an_invalid_one_is_400_and_leaves_nothing(self) -> None:
        for bad in (b"no export" * 100, joined(self.lines[:-1]), b"[" * 60_000):
            answer = self.post(bad)
            self.assertEqual(answer.status_code, 400, answer.content)
            self.assertRegex(answer.json()["file"][0], "^Line \\d+: ")
        self.assertEqual((_faces(8), self.files()), ([], []))

    def test_the_operation_has_the_result(self) -> None:
        operation = self.waiting()
        executor.execute(operation.pk)
        body = self.client.get(f"/recognition/operations/{operation.pk}/").json()
        self.assertEqual((body["kind"], body["status"]), ("import", "done"))
        self.assertEqual(body["result"]["faces"], 4)
        again = exported(factories.user(8))
        for before, after in zip(self.lines[1:-1], again[1:-1], strict=True):
            for line in (before, after):
                line.get("face", {}).pop("id", None)
            self.assertEqual(before, after)

    def test_what_is_half_stored_is_not_seen_and_replaced_by_the_next_attempt(self) -> None:
        operation, stored = self.waiting(), importer._Storing._store_face
        count = Face.objects.count()

        def lost(self: Any, batch: Any) -> None:
            stored(self, batch)
            if Face.objects.count() > count + 1:
                raise SystemExit  # the process ends

        with (
            mock.patch.object(importer, "_BATCH", 1),
            mock.patch.object(importer._Storing, "_store_face", lost),
            self.assertRaises(SystemExit),
        ):
            executor.execute(operation.pk)
        self.assertEqual(len(_faces(8)), 1)  # the second was rolled back
        self.assertEqual(self.client.get("/recognition/users/8/contacts/").status_code, 404)
        found = search.best(ANONYMOUS_ID, self.ann, model=MODEL, at_most=9)
        self.assertEqual({match.user for match in found}, {self.user.pk})
        Operation.objects.filter(pk=operation.pk).update(status=Status.QUEUED, claimed_by="")
        tasks.execute(str(operation.pk))
        self.assertEqual(len(_faces(8)), 4)
        self.assertTrue(factories.user(8).exists)

    def test_an_attempt_that_was_taken_over_stores_nothing_more(self) -> None:
        operation = self.waiting()

        def taken(*_: Any) -> None:
            Operation.objects.filter(pk=operation.pk).update(claimed_by="another")

        with mock.patch.object(importer._Storing, "_store_contact", taken):
            executor.execute(operation.pk)
        self.assertEqual(_faces(8), [])
        operation.refresh_from_db()
        self.assertEqual((operation.status, operation.claimed_by), (Status.PROCESSING, "another"))

    def test_what_a_failed_one_left_is_deleted_before_the_next_call(self) -> None:
        operation = self.waiting()
        Operation.objects.filter(pk=operation.pk).update(
            status=Status.FAILED, processed_at=operation.created_at
        )
        user = User.objects.get(user_id=8)
        contact = Contact.objects.create(user=user, contact_id=1, name="half")
        Face.objects.create(contact=contact, user=user, face_id=1, score=1, is_face=False)
        with mock.patch.object(queues, "enqueue", run_at_once):
            self.assertEqual(
                self.client.delete("/recognition/users/8/contacts/9/").status_code, 200
            )
        self.assertEqual(_faces(8), [])
        self.assertEqual(len(self.files()), 1)
        retention.tidy_up()
        self.assertEqual(self.files(), [])

    def test_the_file_is_erased_with_its_client(self) -> None:
        self.waiting()
        while retention.erase_of(ANONYMOUS_ID, at_most=100):
            pass
        self.assertEqual((self.files(), User.objects.count()), ([], 0))

    def test_each_transaction_is_short(self) -> None:
        operation, open_at = self.waiting(), list[int]()
        store = importer._Storing.store

        def seen(self: Any, kind: str, pickled: bytes) -> None:
            open_at.append(len(connection.savepoint_ids) + connection.in_atomic_block)
            store(self, kind, pickled)

        with (
            mock.patch.object(importer, "_BATCH", 1),
            mock.patch.object(importer._Storing, "store", seen),
        ):
            executor.execute(operation.pk)
        self.assertEqual(open_at, [1] * 6)
        self.assertEqual(Operation.objects.get(kind=Kind.IMPORT).status, Status.DONE)


def _faces(user_id: int) -> list[int]:
    return [*Face.objects.filter(user__user_id=user_id).values_list("pk", flat=True)]


class CompressionTests(SimpleTestCase):
    def test_a_file_in_several_members_and_padded_is_read(self) -> None:
        parts = [b"one\ntw", b"o\n", b"", b"three\n" * 40_000]
        data = b"".join(map(gzip.compress, parts))
        for tail in (b"", bytes(100_000)):
            self.assertEqual(jsonl.plain(io.BytesIO(data + tail)).read(), b"".join(parts))

    def test_what_is_cut_or_damaged_is_an_error(self) -> None:
        data = gzip.compress(bytes(range(256)) * 40)
        for bad in (data[:-1], data[:-9], data[:12], data + b"x", data[:-6] + b"\1" * 6):
            with self.assertRaises((EOFError, zlib.error)):
                jsonl.plain(io.BytesIO(bad)).read()

    def test_headers_and_members_without_end_cost_little(self) -> None:
        name = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (20 << 20)
        members = gzip.compress(b"") * 400_000
        started_s = time.thread_time()
        for hostile in (name, members):
            with self.assertRaises((EOFError, zlib.error)):
                jsonl.plain(io.BytesIO(hostile)).read()
        self.assertLess(time.thread_time() - started_s, 2)
