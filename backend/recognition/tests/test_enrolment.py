"""Enrolment from submissions: numbers of the server, crops, and their deletion."""

import io
import uuid
from typing import Any
from unittest import mock

from django.core.files.storage import default_storage
from django.test import override_settings
from PIL import Image

from backend.clients import erasure
from backend.clients.models import Client, Scope
from backend.common.jobs import sweep
from backend.recognition.models import Contact, Face, FaceCrop, Operation
from backend.recognition.operations import enrolment
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_http import FACES, USER, HttpCase
from backend.submissions.models import Submission
from tests.support import data_residue

CONTACTS = f"{USER}/contacts"


class EnrolCase(HttpCase):
    def enrol(self, submission: Submission, face: Any = 0, name: str = "Ann", **more: Any) -> Any:
        body = {"name": name, "faces": [{"submission": str(submission.pk), "face": face}]}
        return self.call("post", CONTACTS, body, **more)

    def crop(self, added: Any, **headers: str) -> Any:
        path = f"{CONTACTS}/{added['contact_id']}/faces/{added['face_id']}/crop.jpg"
        return self.call("get", path, **headers)


class EnrolTests(EnrolCase):
    def test_a_face_of_a_submission_becomes_a_face_of_a_contact(self) -> None:
        ann, bea = person(), person()
        group = submissions.done(ann, bea)
        face = {"submission": str(group.pk), "face": 1, "face_id": 5, "score": 0.5}
        (added,) = self.add(face).json()["added"]
        self.assertEqual((added["face_id"], added["score"], added["is_face"]), (5, 0.5, True))
        self.assertIsNone(added["reason"])
        found = self.call("post", f"{USER}/recognize", {"face_url": self.probe(bea)})
        self.assertEqual([each["face_id"] for each in found.json()], [5])

    def test_the_server_chooses_numbers_where_none_are_given(self) -> None:
        ann, bea = person(), person()
        first = self.enrol(submissions.done(ann)).json()["added"][0]
        second = self.enrol(submissions.done(bea), name="Bea").json()["added"][0]
        self.assertNotEqual(first["contact_id"], second["contact_id"])
        path = f"{CONTACTS}/{first['contact_id']}/faces"
        body = {"submission": str(submissions.done(near(ann, 0.1)).pk), "face": 0}
        third = self.add(body, path=path).json()["added"][0]
        self.assertNotEqual(first["face_id"], third["face_id"])
        self.assertEqual(third["score"], 1.0)
        listed = self.call("get", CONTACTS).json()
        self.assertEqual(
            [(each["name"], each["faces_count"]) for each in listed], [("Ann", 2), ("Bea", 1)]
        )

    def test_numbers_are_not_given_twice_and_fit_javascript(self) -> None:
        group = submissions.done(person())
        first = self.enrol(group).json()["added"][0]
        self.call("delete", f"{CONTACTS}/{first['contact_id']}")
        second = self.enrol(group).json()["added"][0]
        self.assertNotEqual(first["contact_id"], second["contact_id"])
        for number in range(20, 23):  # what the next calls would take
            self.add(self.face(1), path=f"{CONTACTS}/{number}/faces")
        for _ in range(20):
            added = self.enrol(submissions.done(person())).json()["added"][0]
            self.assertLess(max(added["contact_id"], added["face_id"]), 1 << 53)
        self.assertEqual(Contact.objects.count(), 24)

    def test_a_repeated_call_adds_no_second_face(self) -> None:
        group = submissions.done(person())
        contact = self.enrol(group).json()["added"][0]["contact_id"]
        face = {"submission": str(group.pk), "face": 0}
        answer = self.add(face, face, path=f"{CONTACTS}/{contact}/faces").json()
        self.assertEqual((len(answer["added"]), len(answer["not_found"])), (0, 2))
        self.assertEqual(answer["not_found"][0]["reason"], "The contact has this face already.")
        new = self.call("post", CONTACTS, {"name": "Twin", "faces": [face, face]}).json()
        self.assertEqual((len(new["added"]), len(new["not_found"])), (1, 1))

    def test_a_face_that_cannot_be_used_is_an_error_and_makes_no_contact(self) -> None:
        group, failed = submissions.done(person()), submissions.failed()
        for submission, face, reason in (
            (group.pk, 1, "The image has 1 faces, counted from 0."),
            (uuid.uuid4(), 0, "There is no submission with this id."),
            (failed.pk, 0, "It is broken."),
        ):
            wanted = {"submission": str(submission), "face": face}
            answer = self.call("post", CONTACTS, {"name": "Ann", "faces": [wanted]})
            (error,) = answer.json()["error"]
            self.assertEqual((error["reason"], error["submission"]), (reason, str(submission)))
        self.assertFalse(Contact.objects.exists())
        both = [{"submission": str(failed.pk), "face": 0}, {"submission": str(group.pk), "face": 0}]
        answer = self.call("post", CONTACTS, {"faces": both}).json()
        self.assertEqual((len(answer["added"]), len(answer["error"])), (1, 1))

    def test_invalid_bodies_are_400_by_field(self) -> None:
        id = str(uuid.uuid4())
        for face, field in (
            ({"submission": id}, "face"),
            ({"face": 0, "face_id": 1, "score": 1}, "submission"),
            ({"submission": id, "face": -1}, "face"),
            ({"submission": id, "face": "0"}, "face"),
            ({"submission": id, "face": 0, "image": "AAAA"}, "submission"),
            ({"submission": "x", "face": 0}, "submission"),
            ({"face_url": "http://a.example"}, "face_id"),
        ):
            answer = self.call("post", CONTACTS, {"faces": [face]})
            self.assertEqual((answer.status_code, list(answer.json())), (400, [field]), face)
        bodies: tuple[Any, ...] = ({"faces": []}, {"name": 7, "faces": [{}]}, [], None)
        for body in bodies:
            self.assertEqual(self.call("post", CONTACTS, body).status_code, 400, body)

    def test_a_form_names_a_submission_too(self) -> None:
        group = submissions.done(person())
        form = {"submission": str(group.pk), "face": "0", "name": "Ann"}
        (added,) = self.client.post(CONTACTS, form).json()["added"]
        self.assertEqual(Contact.objects.get().name, "Ann")
        self.assertEqual(added["contact_id"], Contact.objects.get().contact_id)

    def test_its_own_photo_names_it_as_enrolled(self) -> None:
        group = submissions.done(person(), person())
        self.enrol(group, 1)
        body = {"submission": str(group.pk), "faces": "all"}
        faces = self.call("post", f"{USER}/recognize", body).json()["faces"]
        self.assertEqual(faces[0]["candidates"], [])
        self.assertEqual([each["is_enrolled"] for each in faces[1]["candidates"]], [True])


class CropTests(EnrolCase):
    def test_a_crop_is_a_square_of_160_pixels_of_the_chosen_face(self) -> None:
        group = submissions.done(person(), person())
        (added,) = self.enrol(group, 1).json()["added"]
        answer = self.crop(added)
        self.assertEqual((answer.status_code, answer["Content-Type"]), (200, "image/jpeg"))
        self.assertEqual(answer["Cache-Control"], "no-store")
        picture = Image.open(io.BytesIO(answer.content))
        self.assertEqual(picture.size, (160, 160))
        red, green, blue = picture.getpixel((80, 80))  # type: ignore[misc]  # RGB
        self.assertLess(abs(blue - 60), 20, (red, green, blue))
        self.assertLess(len(answer.content), 20_000)

    def test_a_contact_has_the_address_of_its_best_crop(self) -> None:
        (first,) = self.enrol(submissions.done(person())).json()["added"]
        contact = f"{CONTACTS}/{first['contact_id']}"
        better = {"submission": str(submissions.done(person()).pk), "face": 0, "score": 2.0}
        (second,) = self.add(better, path=f"{contact}/faces").json()["added"]
        url = self.call("get", CONTACTS).json()[0]["crop_url"]
        self.assertTrue(url.endswith(f"{contact}/faces/{second['face_id']}/crop.jpg"), url)
        self.assertEqual(self.call("get", contact).json()["crop_url"], url)
        renamed = self.call("patch", contact, {"name": "Bea"}).json()
        self.assertEqual((renamed["crop_url"], renamed["faces_count"]), (url, 2))

    @mock.patch.object(enrolment, "INDEXED_FACES", 1)
    def test_lists_of_faces_say_which_are_used(self) -> None:
        self.add(self.face(1, score=0.5), self.face(2), self.faceless(3))
        used = {face["face_id"]: face["is_used"] for face in self.call("get", FACES).json()}
        self.assertEqual(used, {1: False, 2: True, 3: False})

    def test_other_faces_have_none(self) -> None:
        self.add(self.face(1))
        self.assertIsNone(self.call("get", CONTACTS).json()[0]["crop_url"])
        self.assertIsNone(self.call("get", FACES).json()[0]["crop_url"])

    def test_lists_of_faces_have_the_addresses_of_crops(self) -> None:
        (added,) = self.enrol(submissions.done(person())).json()["added"]
        faces = f"{CONTACTS}/{added['contact_id']}/faces"
        path = f"{faces}/{added['face_id']}/crop.jpg"
        for url in (f"{USER}/faces", faces):
            (face,) = self.call("get", url).json()
            self.assertTrue(face["crop_url"].endswith(path), face)
        one = self.call("get", f"{faces}/{added['face_id']}").json()
        self.assertEqual(one["crop_url"], face["crop_url"])
        self.assertEqual(self.call("get", f"{FACES}/1/crop.jpg").status_code, 404)

    @override_settings(FACES_KEEP_CROPS=False)
    def test_switched_off_none_is_cut_and_those_before_are_deleted(self) -> None:
        (added,) = self.enrol(submissions.done(person())).json()["added"]
        self.assertEqual(self.crop(added).status_code, 404)
        with override_settings(FACES_KEEP_CROPS=True):
            self.enrol(submissions.done(person()))
            sweep.once()
        self.assertEqual(FaceCrop.objects.count(), 1)
        sweep.once()
        self.assertEqual(FaceCrop.objects.count(), 0)
        self.assertEqual(Face.objects.count(), 2)

    def test_an_image_that_is_gone_leaves_a_face_without_a_crop(self) -> None:
        group = submissions.done(person())
        default_storage.delete(str(group.image.name))
        (added,) = self.enrol(group).json()["added"]
        self.assertEqual(self.crop(added).status_code, 404)

    def test_a_crop_moves_with_its_face(self) -> None:
        (added,) = self.enrol(submissions.done(person())).json()["added"]
        body = {"faces": [{"face_id": added["face_id"]}], "to_contact_id": 9}
        moved = self.call("post", f"{CONTACTS}/{added['contact_id']}/faces/move", body)
        self.assertEqual(self.crop(moved.json()["added"][0]).status_code, 200)

    def test_each_deletion_takes_the_crop_along(self) -> None:
        for path in ("/contacts/{contact_id}/faces/{face_id}", "/contacts/{contact_id}", ""):
            group = submissions.done(person())
            (added,) = self.enrol(group).json()["added"]
            traces = {"crop": bytes(FaceCrop.objects.get().jpeg)}
            self.client.delete(f"/image/{group.pk}/")
            self.assertEqual(data_residue.found(traces), {"crop": ["table recognition_facecrop"]})
            self.call("delete", f"{USER}{path.format(**added)}")
            self.assertEqual(data_residue.found(traces), {}, path)
        self.assertFalse(Operation.objects.exclude(images=None).exists())

    def test_erasing_a_client_erases_crops_and_ids_of_submissions(self) -> None:
        alice = self.key("alice", Scope.RECOGNISE, Scope.UPLOAD)
        owner = Client.objects.get(name="alice").pk
        group = submissions.done(person(), owner_id=owner)
        self.assertEqual(len(self.enrol(group, **alice).json()["added"]), 1)
        self.enrol(group, 7, **alice)
        jpeg = bytes(FaceCrop.objects.get().jpeg)
        traces = {"crop": jpeg, "id": str(group.pk).encode(), "hash": group.sha256.encode()}
        self.assertEqual(set(data_residue.found(traces)), set(traces))
        erasure.erase_now(owner, actor="test")
        self.assertEqual(data_residue.found(traces), {})

    def test_deleting_a_contact_redacts_the_submission_of_earlier_errors(self) -> None:
        group = submissions.done(person())
        (added,) = self.enrol(group).json()["added"]
        contact, trace = f"{CONTACTS}/{added['contact_id']}", {"id": str(group.pk).encode()}
        self.add({"submission": str(group.pk), "face": 9}, path=f"{contact}/faces")
        self.assertIn("table recognition_operation", data_residue.found(trace)["id"])
        self.client.delete(f"/image/{group.pk}/")
        self.call("delete", contact)
        # The audit trail names what was erased.
        self.assertEqual(data_residue.found(trace), {"id": ["table clients_auditentry"]})


class OwnersTests(EnrolCase):
    def test_a_crop_belongs_to_the_calling_client(self) -> None:
        alice, bob = self.key("alice"), self.key("bob")
        group = submissions.done(person(), owner_id=Client.objects.get(name="alice").pk)
        (added,) = self.enrol(group, **alice).json()["added"]
        self.assertEqual(self.crop(added, **alice).status_code, 200)
        self.assertEqual(self.crop(added, **bob).status_code, 404)
        # Bob's first call chooses the same numbers: his own face is answered.
        his = submissions.done(person(), owner_id=Client.objects.get(name="bob").pk)
        (second,) = self.enrol(his, **bob).json()["added"]
        self.assertEqual(second["face_id"], added["face_id"])
        mine, other = (self.crop(added, **who).content for who in (alice, bob))
        self.assertNotEqual(mine, other)
        self.assertEqual(self.crop(added).status_code, 404)
        reader = self.key("alice", Scope.READ)
        self.assertEqual(self.crop(added, **reader).status_code, 403)
        self.assertEqual(self.enrol(group, **reader).status_code, 403)

    def test_another_clients_submission_cannot_be_enrolled(self) -> None:
        bob = self.key("bob")
        answer = self.enrol(submissions.done(person()), **bob).json()
        self.assertEqual(
            [each["reason"] for each in answer["error"]], ["There is no submission with this id."]
        )
        self.assertFalse(Face.objects.exists())
