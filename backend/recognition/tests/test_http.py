"""The API over HTTP: shapes, owners, immediate and later answers, events."""

import base64
import json
import uuid
from datetime import timedelta
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone

from backend.clients import erasure
from backend.clients.keys import create_key
from backend.clients.models import AuditEntry, Client, Scope
from backend.common import event_stream, redis_clients
from backend.common.jobs import queues, sweep
from backend.recognition import tasks
from backend.recognition.models import Operation, User
from backend.recognition.tests.base import RecognitionCase, analysed, ids
from backend.recognition.tests.factories import near, person
from wire import events

USER = "/recognition/users/1"
FACES = f"{USER}/contacts/2/faces"


class HttpCase(RecognitionCase):
    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = {} if body is None else {"data": json.dumps(body)}
        ask = getattr(self.client, method)
        return ask(path, content_type="application/json", headers=headers, **data)

    def add(self, *faces: Any, path: str = FACES, **headers: str) -> Any:
        return self.call("post", path, {"faces": list(faces)}, **headers)

    def key(self, name: str, *scopes: str) -> dict[str, str]:
        owner, _ = Client.objects.get_or_create(name=name)
        _, text = create_key(owner, name="k", scopes=scopes or [Scope.RECOGNISE], actor="test")
        return {"X-Api-Key": text}


class ShapesTests(HttpCase):
    def test_faces_are_added_listed_recognised_and_deleted(self) -> None:
        probe = person()
        added = self.add(self.face(1, probe, external_id=5), self.face(2))
        self.assertEqual(added.status_code, 200)
        self.assertEqual(set(added.json()), {"added", "deleted", "not_found", "error"})
        listed = self.call("get", f"{USER}/faces/").json()
        self.assertEqual([face["external_id"] for face in listed], [5, None])
        self.assertEqual(self.call("get", FACES).json(), listed)
        found = self.call("post", f"{USER}/recognize", {"face_url": self.probe(probe)})
        self.assertEqual([face["contact_id"] for face in found.json()], [2])
        self.assertTrue(Operation.objects.filter(pk=found["Operation-Id"]).exists())
        deleted = self.call("delete", FACES, {"faces": [{"face_id": 1}, {"face_id": 9}]})
        self.assertEqual(ids(deleted.json()["deleted"]), [1])
        self.assertEqual(ids(deleted.json()["not_found"]), [9])
        self.assertEqual(self.call("delete", f"{FACES}/2/").status_code, 200)
        self.assertEqual(self.call("get", f"{USER}/faces").json(), [])

    def test_no_face_is_null_and_an_unknown_face_is_an_empty_array(self) -> None:
        faceless = {"face_url": self.web.put(analysed())}
        self.assertEqual(self.call("post", f"{USER}/recognise/", faceless).content, b"null")
        unknown = {"face_url": self.probe(person())}
        self.assertEqual(self.call("post", f"{USER}/recognize/", unknown).json(), [])

    def test_an_unavailable_image_is_422_with_a_reason(self) -> None:
        answer = self.call("post", f"{USER}/recognize", {"face_url": self.web.url("/no")})
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json(), {"detail": "127.0.0.1 answered 404."})

    def test_images_come_as_parts_of_a_form(self) -> None:
        ann, bea = person(), person()
        faces = [{"face_id": 1, "score": 1, "image": "a"}, {"face_id": 2, "score": 2, "image": "b"}]
        parts = {
            "faces": json.dumps(faces),
            "a": SimpleUploadedFile("a.png", analysed(ann)),
            "b": SimpleUploadedFile("b.png", analysed(bea)),
        }
        self.assertEqual(ids(self.client.post(FACES, parts).json()["added"]), [1, 2])
        one = {"face_id": 3, "score": 0.5, "image": SimpleUploadedFile("c.png", analysed(ann))}
        self.assertEqual(ids(self.client.post(FACES, one).json()["added"]), [3])
        probe = SimpleUploadedFile("p.png", analysed(near(bea, 0.2)))
        found = self.client.post(f"{USER}/recognize", {"image": probe}).json()
        self.assertEqual(ids(found), [2])

    def test_the_text_of_an_image_may_be_a_field_of_a_form(self) -> None:
        text = base64.b64encode(analysed(person())).decode()
        form = {"face_id": "1", "score": "1", "image": f"data:image/jpeg;base64,{text}"}
        answer = self.client.post("/recognition/users/1/contacts/7/faces", form)
        self.assertEqual([face["face_id"] for face in answer.json()["added"]], [1])

    def test_images_come_in_base64(self) -> None:
        sent = base64.b64encode(analysed(person())).decode()
        self.assertEqual(
            ids(self.add({"face_id": 1, "score": 1, "image": sent}).json()["added"]), [1]
        )
        found = self.call("post", f"{USER}/recognize", {"image": sent})
        self.assertEqual(ids(found.json()), [1])

    def test_contacts_are_listed_renamed_merged_and_deleted(self) -> None:
        self.add(self.face(1))
        self.add(self.face(2), path=f"{USER}/contacts/3/faces")
        renamed = self.call("patch", f"{USER}/contacts/3", {"name": "Bea"})
        self.assertEqual(renamed.json()["name"], "Bea")
        listed = self.call("get", f"{USER}/contacts/").json()
        self.assertEqual(
            [(each["contact_id"], each["faces_count"]) for each in listed], [(2, 1), (3, 1)]
        )
        moved = self.call("post", f"{FACES}/move", {"faces": [{"face_id": 1}], "to_contact_id": 3})
        self.assertEqual(ids(moved.json()["added"]), [1])
        merged = self.call("post", f"{USER}/contacts/2/merge", {"from_contact_id": 3})
        self.assertEqual(ids(merged.json()["added"]), [1, 2])
        self.assertEqual(ids(self.call("delete", f"{USER}/contacts/2").json()["deleted"]), [1, 2])
        self.assertEqual(self.call("get", f"{USER}/contacts/2").status_code, 404)
        self.assertEqual(self.call("patch", f"{USER}/contacts/2", {"name": "x"}).status_code, 404)

    def test_a_face_is_deleted_also_behind_a_submission_that_could_not_be_enrolled(self) -> None:
        self.add(self.face(1))
        # Its entry has no face_id, because no face was stored.
        missing = {"submission": str(uuid.uuid4()), "face": 0}
        self.assertEqual(len(self.add(missing).json()["error"]), 1)
        deleted = self.call("delete", f"{FACES}/1")
        self.assertEqual((deleted.status_code, ids(deleted.json()["deleted"])), (200, [1]))
        self.assertEqual(self.call("get", FACES).json(), [])

    def test_deleting_a_user_is_audited(self) -> None:
        self.add(self.face(1))
        self.assertEqual(self.call("get", f"{USER}/").json()["faces_count"], 1)
        self.assertEqual(ids(self.call("delete", USER).json()["deleted"]), [1])
        self.assertEqual(self.call("get", USER).status_code, 404)
        self.assertTrue(AuditEntry.objects.filter(action="recognition: delete_user").exists())

    def test_faces_are_paged_on_request(self) -> None:
        self.add(*[self.face(number) for number in range(3)])
        first = self.call("get", f"{FACES}?limit=2")
        self.assertEqual(ids(first.json()), [0, 1])
        address = first["Link"].partition(">")[0].partition("/recognition")[2]
        self.assertEqual(ids(self.call("get", f"/recognition{address}").json()), [2])

    def test_users_are_paged_on_request(self) -> None:
        for user in (-1, 2, -3):
            self.add(self.face(1), path=f"/recognition/users/{user}/contacts/2/faces")
        every = [{"user_id": -3}, {"user_id": -1}, {"user_id": 2}]
        whole = self.call("get", "/recognition/users/")
        self.assertEqual((whole.json(), "Link" in whole), (every, False))
        first = self.call("get", "/recognition/users/?limit=2")
        self.assertEqual(first.json(), every[:2])
        address = first["Link"].partition(">")[0].partition("/recognition")[2]
        last = self.call("get", f"/recognition{address}")
        self.assertEqual((last.json(), "Link" in last), (every[2:], False))
        self.assertEqual(self.call("get", "/recognition/users/?after=x").status_code, 400)

    def test_invalid_input_is_400_by_field(self) -> None:
        for body, field in (
            ({"faces": [{"face_id": "1", "score": 1, "face_url": "http://a.example"}]}, "face_id"),
            ({"faces": [{"face_id": 1, "score": 1, "image": "no base64!"}]}, "image"),
            ({"faces": 7}, "faces"),
            ({}, "faces"),
            ([{"face_id": 1, "score": 1}], "face_url"),
        ):
            with self.subTest(body=body):
                answer = self.call("post", FACES, body)
                self.assertEqual((answer.status_code, list(answer.json())), (400, [field]))
        merge = self.call("post", f"{USER}/contacts/2/merge", {"from_contact_id": 2})
        self.assertEqual(list(merge.json()), ["from_contact_id"])
        self.assertEqual(self.call("post", f"{USER}/recognize", {}).status_code, 400)
        self.assertEqual(
            self.add(path=f"/recognition/users/{10**30}/contacts/1/faces").status_code, 404
        )


class OwnersTests(HttpCase):
    def test_a_user_belongs_to_the_calling_client(self) -> None:
        alice, bob = self.key("alice"), self.key("bob")
        probe = person()
        added = self.add(self.face(1, probe), **alice)
        asked = {"face_url": self.probe(probe)}
        self.assertEqual(self.call("post", f"{USER}/recognize", asked, **bob).json(), [])
        self.assertEqual(self.call("get", f"{USER}/faces", **bob).status_code, 404)
        self.assertEqual(self.call("get", "/recognition/users", **bob).json(), [])
        self.assertEqual(self.call("delete", USER, **bob).json()["deleted"], [])
        operation = f"/recognition/operations/{added['Operation-Id']}"
        self.assertEqual(self.call("get", operation, **bob).status_code, 404)
        self.assertEqual(self.call("get", operation, **alice).json()["result"], added.json())
        self.assertEqual(self.call("get", "/recognition/users", **alice).json(), [{"user_id": 1}])

    def test_galleries_need_their_own_scope(self) -> None:
        reader = self.key("alice", Scope.READ, Scope.UPLOAD)
        self.assertEqual(self.call("get", f"{USER}/faces", **reader).status_code, 403)
        self.assertEqual(self.add(self.face(1), **reader).status_code, 403)

    def test_erasing_a_client_leaves_nothing(self) -> None:
        self.add(self.face(1), **self.key("alice"))
        alice = Client.objects.get(name="alice").pk
        erasure.erase_now(alice, actor="test")
        self.assertFalse(User.objects.filter(owner=alice).exists())
        self.assertFalse(Operation.objects.filter(owner=alice).exists())

    def test_a_client_that_is_being_erased_adds_nothing(self) -> None:
        key = self.key("alice")
        erasure.request(Client.objects.get(name="alice").pk, actor="test")
        self.assertEqual(self.add(self.face(1), **key).status_code, 503)

    @override_settings(FACES_MAX_PENDING=1, FACES_SYNC_RESPONSE_TIMEOUT_S=0.0)
    def test_too_many_open_calls_are_refused(self) -> None:
        with mock.patch.object(queues, "enqueue", return_value=True):
            self.assertEqual(self.add(self.face(1)).status_code, 202)
            refused = self.add(self.face(2))
        self.assertEqual(refused.status_code, 429)
        self.assertIn("Retry-After", refused)

    @override_settings(FACES_UPLOAD_RATE=(3, 60))
    def test_a_batch_costs_as_much_as_its_images(self) -> None:
        self.assertEqual(self.add(self.face(1), self.face(2)).status_code, 200)
        self.assertEqual(self.add(self.face(3), self.face(4)).status_code, 429)


class LaterTests(HttpCase):
    """Without a worker until the test runs the job."""

    def later(self) -> Any:
        with (
            mock.patch.object(queues, "enqueue", return_value=True),
            override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.0),
        ):
            return self.add(self.face(1))

    def test_a_slow_call_is_202_with_an_operation_to_poll(self) -> None:
        answer = self.later()
        self.assertEqual(answer.status_code, 202)
        body = answer.json()
        self.assertEqual(answer["Location"], body["operation_url"])
        self.assertEqual((body["status"], body["result"]), ("queued", None))
        path = f"/recognition/operations/{body['operation_id']}/"
        tasks.execute(body["operation_id"])
        done = self.call("get", path).json()
        self.assertEqual((done["status"], ids(done["result"]["added"])), ("done", [1]))

    def test_its_end_is_published_once_and_names_no_face(self) -> None:
        self.add(self.face(7))
        body = self.later().json()
        tasks.execute(body["operation_id"])
        sweep.once()
        told: Any = redis_clients.default().xrange(events.STREAM)
        (entry,) = [events.from_entry(id, fields) for id, fields in told]
        self.assertEqual(entry["outcome"], events.Outcome.OPERATION)
        frame = json.loads(entry["frame"])
        self.assertEqual((frame["operation_id"], frame["kind"]), (body["operation_id"], "add"))
        self.assertEqual(frame["operation_url"], body["operation_url"])
        self.assertNotIn("http://127.0.0.1", entry["frame"].replace(body["operation_url"], ""))

    def test_the_sweep_publishes_events_that_could_not_be_published(self) -> None:
        body = self.later().json()
        with mock.patch("backend.recognition.operations.events.publish", return_value=False):
            tasks.execute(body["operation_id"])
        self.assertEqual(redis_clients.default().xlen(events.STREAM), 0)
        self.let_time_pass_and_sweep()
        self.assertEqual(redis_clients.default().xlen(events.STREAM), 1)

    def test_an_event_that_an_emptied_redis_lost_is_published_again_once(self) -> None:
        self.add(self.face(7))  # answered with 200: no event
        body = self.later().json()
        tasks.execute(body["operation_id"])
        sweep.once()
        redis_clients.default().flushdb()
        self.let_time_pass_and_sweep()
        self.let_time_pass_and_sweep()
        told: Any = redis_clients.default().xrange(events.STREAM)
        self.assertEqual([fields["submission_id"] for _, fields in told], [body["operation_id"]])

    def test_an_event_that_is_lost_before_its_row_has_it_is_published_again(self) -> None:
        """Redis is emptied, and the sweep passes, between the append and the row's update."""
        body = self.later().json()
        append = event_stream.append

        def lost_at_once(*args: Any, **kwargs: Any) -> str:
            event_id = append(*args, **kwargs)
            redis_clients.default().flushdb()
            sweep.once()
            return event_id

        with mock.patch.object(event_stream, "append", lost_at_once):
            tasks.execute(body["operation_id"])
        self.assertEqual(redis_clients.default().xlen(events.STREAM), 0)
        self.let_time_pass_and_sweep()
        self.assertEqual(redis_clients.default().xlen(events.STREAM), 1)

    def let_time_pass_and_sweep(self) -> None:
        ended = Operation.objects.filter(processed_at__isnull=False)
        ended.update(processed_at=timezone.now() - timedelta(seconds=10))
        sweep.once()

    def test_reads_have_the_number_of_pending_calls(self) -> None:
        self.add(self.face(7))
        self.later()
        with override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.0):
            answer = self.call("get", f"{USER}/faces")
        self.assertEqual((ids(answer.json()), answer["Pending-Calls"]), ([7], "1"))
