"""Rejections: a contact that a face is not, as the client said."""

import uuid
from typing import Any

from backend.analysis.models import Analysis
from backend.clients import erasure
from backend.clients.models import Client, Scope
from backend.recognition.models import Rejection
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_every_face import names
from backend.recognition.tests.test_http import USER, HttpCase
from backend.submissions.models import Submission


class RejectionsTests(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann = person()
        self.bea = near(self.ann, 0.4)
        for contact, encoding, name in ((2, self.ann, "Ann"), (3, self.bea, "Bea")):
            path = f"{USER}/contacts/{contact}/faces"
            self.add(self.face(contact, encoding), path=path)
            self.call("patch", f"{USER}/contacts/{contact}", {"name": name})
        self.photo = submissions.done(near(self.ann, 0.1), near(self.ann, 0.15))

    def decide(self, method: str = "post", contact: int = 2, **body: Any) -> Any:
        face = {"submission": str(self.photo.pk), "face": 0, **body}
        return self.call(method, f"{USER}/contacts/{contact}/rejections", face)

    def names(self, photo: Submission | None = None, **options: Any) -> list[list[str]]:
        body = {"submission": str((photo or self.photo).pk), "faces": "all", **options}
        return names(self.call("post", f"{USER}/recognize", body))

    def test_a_rejected_contact_is_no_candidate_of_this_face_until_it_is_taken_back(self) -> None:
        self.assertEqual(self.names(limit=1), [["Ann"], ["Ann"]])
        self.assertEqual(self.decide().json(), {"rejected": True})
        self.assertEqual(self.decide().json(), {"rejected": True})
        self.assertEqual(self.names(limit=1, min_confidence=0), [["Bea"], ["Ann"]])
        one = {"submission": str(self.photo.pk), "face": 0, "limit": 1, "min_confidence": 0}
        found = self.call("post", f"{USER}/recognize", one).json()
        self.assertEqual([each["name"] for each in found], ["Bea"])
        self.assertEqual(self.decide("delete").json(), {"rejected": False})
        self.assertEqual(self.decide("delete").json(), {"rejected": False})
        self.assertEqual(self.names(limit=1), [["Ann"], ["Ann"]])

    def test_no_worker_is_needed(self) -> None:
        self.enqueue.reset_mock()
        self.decide()
        self.enqueue.assert_not_called()

    def test_the_contracts_call_knows_no_rejections(self) -> None:
        probe = {"face_url": self.probe(self.ann, 0.1)}
        before = self.call("post", f"{USER}/recognize", probe).json()
        self.decide()
        self.assertEqual(self.call("post", f"{USER}/recognize", probe).json(), before)

    def test_it_holds_for_every_copy_of_the_bytes_and_goes_with_the_last(self) -> None:
        self.decide()
        copy = submissions.copy_of(self.photo)
        self.assertEqual(self.names(copy, limit=1, min_confidence=0)[0], ["Bea"])
        self.client.delete(f"/image/{self.photo.pk}/")
        self.assertEqual(Rejection.objects.count(), 1)
        self.client.delete(f"/image/{copy.pk}/")
        self.assertEqual(Rejection.objects.count(), 0)
        self.assertFalse(Analysis.objects.filter(sha256=copy.sha256).exists())

    def test_enrolling_the_face_takes_it_back(self) -> None:
        self.decide()
        face = {"submission": str(self.photo.pk), "face": 0}
        self.add(face, path=f"{USER}/contacts/2/faces")
        self.assertEqual(Rejection.objects.count(), 0)
        self.assertEqual(self.names(limit=1)[0], ["Ann"])

    def test_it_is_the_targets_after_a_merge_and_goes_with_its_contact(self) -> None:
        self.decide(contact=2)
        self.decide(contact=3)
        self.decide(contact=3, face=1)
        self.call("post", f"{USER}/contacts/2/merge", {"from_contact_id": 3})
        self.assertEqual(self.names(), [[], []])
        self.assertEqual(Rejection.objects.count(), 2)
        self.call("delete", f"{USER}/contacts/2")
        self.assertEqual(Rejection.objects.count(), 0)

    def test_what_does_not_exist_is_404_or_422_and_invalid_bodies_400(self) -> None:
        self.assertEqual(self.decide(contact=9).status_code, 404)
        self.assertEqual(self.decide(face=5).status_code, 422)
        self.assertEqual(self.decide(submission=str(uuid.uuid4())).status_code, 422)
        for bad in ({"face": None}, {"face": -1}, {"submission": 7}, {"submission": None}):
            self.assertEqual(self.decide(**bad).status_code, 400, bad)
        self.assertEqual(Rejection.objects.count(), 0)

    def test_it_belongs_to_the_calling_client_and_is_erased_with_it(self) -> None:
        path = f"{USER}/contacts/2/rejections"
        face = {"submission": str(self.photo.pk), "face": 0}
        bob = self.key("bob")
        self.add(self.face(1), path=f"{USER}/contacts/2/faces", **bob)
        self.assertEqual(self.call("post", path, face, **bob).status_code, 422)
        owner = Client.objects.get(name="bob").pk
        his = submissions.done(person(), owner_id=owner)
        mine = {"submission": str(his.pk), "face": 0}
        self.assertEqual(self.call("post", path, mine, **bob).json(), {"rejected": True})
        reader = self.key("bob", Scope.READ)
        self.assertEqual(self.call("post", path, mine, **reader).status_code, 403)
        self.decide()
        erasure.erase_now(owner, actor="test")
        self.assertEqual(Rejection.objects.count(), 1)

    def test_a_polled_operation_has_the_result(self) -> None:
        answer = self.decide()
        path = f"/recognition/operations/{answer['Operation-Id']}/"
        self.assertEqual(self.call("get", path).json()["result"], {"rejected": True})
