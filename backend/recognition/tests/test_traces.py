"""Deleted means gone: after each deletion every table, file and key is searched for traces."""

from typing import Any

from backend.analysis.models import Analysis
from backend.analysis.services import client_owner
from backend.clients import erasure
from backend.clients.models import Client
from backend.face_encodings.models import EncodedImage
from backend.recognition import api
from backend.recognition.gallery import feedback
from backend.recognition.models import Face, Operation, OtherEncoding, Reembedding, User
from backend.recognition.operations import commands, retention, service
from backend.recognition.tests.base import RecognitionCase, analysed
from backend.recognition.tests.factories import near, person
from tests.support import data_residue


class TracesTests(RecognitionCase):
    def setUp(self) -> None:
        super().setUp()
        self.owner = Client.objects.create(name="Ann's client").pk
        self.ann, self.other_model, self.asked = person(), person(), person()
        self.url = self.web.put(self.only_ours(self.ann), "/secret-ann.png")
        self.traces = {
            "address": b"secret-",
            "name": b"Secret Ann",
            "external id": b"712345678",
            "encoding": data_residue.of(self.ann),
            "another model's": data_residue.of(self.other_model),
        }

    def only_ours(self, encoding: Any) -> bytes:
        """An image without other references, which would keep its analysis."""
        data = analysed(encoding)
        EncodedImage.objects.all().delete()
        Analysis.objects.exclude(owner=client_owner(self.owner)).delete()
        return data

    def fill(self) -> None:
        """A user with data in every table and file that can hold any."""
        face: Any = {"face_id": 1, "face_url": self.url, "external_id": 712345678, "score": 1.0}
        gone = {**face, "face_id": 9, "face_url": self.web.url("/secret-nothing")}
        who: Any = {"client_id": self.owner}
        api.add_faces(7, 1, [face, gone], **who)
        api.add_faces(7, 1, [face, gone], **who)
        api.add_faces(7, 2, [{**face, "face_id": 2}, {**face, "face_id": 3}], **who)
        api.rename_contact(7, 1, "Secret Ann", **who)
        api.delete_faces(7, 2, [{**face, "face_id": 2}, gone], **who)
        api.merge_contacts(7, 1, 2, **who)
        probe = self.web.put(self.only_ours(near(self.ann, 0.1)), "/secret-probe.png")
        (found,) = api.recognize_face(7, probe, **who) or []
        answer = Operation.objects.filter(kind="recognise").latest("sequence")
        feedback.note(self.owner, 7, answer.pk, feedback.Verdict(right=True))
        user = User.objects.get(owner=self.owner)
        Reembedding.objects.create(user=user, model="other", unobtainable={"1": "a reason"})
        OtherEncoding.objects.create(
            face=Face.objects.get(pk=found["id"]), model="other", encoding=self.other_model
        )

    def wait_with_another(self) -> Operation:
        """A call that was answered 202, and that no worker has executed."""
        self.enqueue.side_effect = None
        call = commands.recognise(7, self.web.url("/secret-later"))
        operation = service.begin(call, owner_id=self.owner, timeout_s=0.0)
        service.follow(operation)
        return operation

    def test_nothing_of_an_erased_client_is_left(self) -> None:
        self.fill()
        self.wait_with_another()
        self.assertEqual(set(data_residue.found(self.traces)), set(self.traces))
        erasure.erase_now(self.owner, actor="test")
        self.assertEqual(data_residue.found(self.traces), {})

    def test_nothing_of_a_deleted_user_is_left_after_an_hour(self) -> None:
        self.fill()
        answer = api.delete_user(7, client_id=self.owner)
        self.assertEqual(len(answer["deleted"]), 2)
        # The answer itself, kept for an hour, names what was deleted.
        last = Operation.objects.latest("sequence")
        self.assertNotIn("name", data_residue.found(self.traces))
        self.assertNotIn("encoding", data_residue.found(self.traces))
        Operation.objects.filter(pk=last.pk).update(
            processed_at=last.created_at - 2 * retention.DELETIONS_KEPT
        )
        retention.delete_old()
        self.assertEqual(data_residue.found(self.traces), {})

    def test_nothing_of_a_deleted_contact_is_left_after_an_hour(self) -> None:
        self.fill()
        api.delete_contact(7, 1, client_id=self.owner)
        api.delete_contact(7, 2, client_id=self.owner)
        for each in Operation.objects.filter(kind__startswith="delete"):
            past = each.created_at - 2 * retention.DELETIONS_KEPT
            Operation.objects.filter(pk=each.pk).update(processed_at=past)
        retention.delete_old()
        self.assertEqual(data_residue.found(self.traces), {})
