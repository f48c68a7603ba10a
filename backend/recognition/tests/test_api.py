"""The six functions, by the sentences of their contract."""

import json
from typing import Any
from unittest import mock

from django.test import override_settings

from backend.clients.models import ANONYMOUS_ID, Client
from backend.recognition import api
from backend.recognition.models import Face, Operation, OperationImage, User
from backend.recognition.operations import commands, enrolment, service
from backend.recognition.tests.base import (
    BIDEN,
    FACELESS,
    OBAMA,
    OBAMA_2,
    RecognitionCase,
    analysed,
    counts,
    ids,
)
from backend.recognition.tests.factories import near, person

KEYS = {"user_id", "contact_id", "face_id", "face_url", "external_id", "score", "id", "is_face"}


class PhotosTests(RecognitionCase):
    """With the engine and real faces."""

    def test_two_people_are_distinguished_and_a_third_is_unknown(self) -> None:
        face = {"face_id": 1, "score": 1.0}
        api.add_faces(1, 10, [{**face, "face_url": self.web.put(OBAMA)}])
        self.assertEqual(api.recognize_face(1, BIDEN), [])
        api.add_faces(1, 20, [{**face, "image": BIDEN}])
        (first,) = api.recognize_face(1, self.web.put(OBAMA_2)) or []
        self.assertEqual(first["contact_id"], 10)
        (other,) = api.recognize_face(1, BIDEN) or []
        self.assertEqual(other["contact_id"], 20)
        self.assertIsNone(api.recognize_face(1, FACELESS))


class TerminologyTests(RecognitionCase):
    def test_a_face_is_an_image_provided_by_a_url(self) -> None:
        face = self.face(1)
        (added,) = api.add_faces(1, 1, [face])["added"]
        self.assertEqual(added["face_url"], face["face_url"])

    def test_a_face_may_also_be_sent_as_bytes(self) -> None:
        probe = person()
        sent = {"face_id": 1, "score": 1.0, "image": analysed(probe)}
        self.assertEqual(counts(api.add_faces(1, 1, [sent])), (1, 0, 0, 0))
        (found,) = api.recognize_face(1, analysed(near(probe, 0.2))) or []
        self.assertEqual(found["face_url"], "")

    def test_recognition_considers_only_faces_and_contacts_of_that_user(self) -> None:
        probe = person()
        api.add_faces(1, 1, [self.face(1, probe)])
        self.assertEqual(api.recognize_face(2, self.probe(probe)), [])

    def test_users_of_one_client_are_not_another_clients(self) -> None:
        other = Client.objects.create(name="other").pk
        probe = person()
        api.add_faces(1, 1, [self.face(1, probe)])
        self.assertEqual(api.get_faces(1, client_id=other), [])
        self.assertEqual(api.recognize_face(1, self.probe(probe), client_id=other), [])
        self.assertEqual(counts(api.delete_user(1, client_id=other)), (0, 0, 0, 0))
        self.assertEqual(len(api.get_faces(1)), 1)

    @mock.patch.object(enrolment, "INDEXED_FACES", 2)
    def test_only_the_faces_with_the_highest_scores_are_matched(self) -> None:
        low, *others = people = [person() for _ in range(3)]
        scored = zip((0.1, 0.9, 0.5), people, strict=True)
        faces = [self.face(at, who, score=score) for at, (score, who) in enumerate(scored)]
        api.add_faces(1, 1, faces)
        self.assertEqual(api.recognize_face(1, self.probe(low)), [])
        for other in others:
            self.assertEqual(len(api.recognize_face(1, self.probe(other)) or []), 1)
        api.delete_faces(1, 1, [{"face_id": 1}])
        self.assertEqual(len(api.recognize_face(1, self.probe(low)) or []), 1)


class MethodsTests(RecognitionCase):
    def test_recognition_considers_added_faces(self) -> None:
        probe = person()
        api.add_faces(1, 7, [self.face(1, probe), self.face(2)])
        (found,) = api.recognize_face(1, self.probe(probe)) or []
        self.assertEqual((found["contact_id"], found["face_id"]), (7, 1))

    def test_users_and_contacts_are_made_when_they_are_first_used(self) -> None:
        api.add_faces(-5, 1 << 62, [self.face(1)])
        (face,) = api.get_faces(-5)
        self.assertEqual((face["user_id"], face["contact_id"]), (-5, 1 << 62))

    def test_adding_a_face_again_changes_nothing(self) -> None:
        face = self.face(1)
        (first,) = api.add_faces(1, 1, [face])["added"]
        again = api.add_faces(1, 1, [{**face, "score": 9.0}, self.face(2)])
        self.assertEqual(counts(again), (1, 0, 1, 0))
        self.assertEqual(again["not_found"][0]["id"], first["id"])
        self.assertEqual([face["score"] for face in api.get_faces(1)], [1.0, 1.0])

    def test_deleting_a_face_again_changes_nothing(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        self.assertEqual(counts(api.delete_faces(1, 1, [{"face_id": 1}])), (0, 1, 0, 0))
        self.assertEqual(counts(api.delete_faces(1, 1, [{"face_id": 1}])), (0, 0, 1, 0))

    def test_a_face_given_twice_in_one_call_counts_once(self) -> None:
        face = self.face(1)
        self.assertEqual(counts(api.add_faces(1, 1, [face, face])), (1, 0, 1, 0))
        deleted = api.delete_faces(1, 1, [face, face])
        self.assertEqual(counts(deleted), (0, 1, 1, 0))

    def test_recognition_ignores_deleted_faces(self) -> None:
        probe = person()
        api.add_faces(1, 1, [self.face(1, probe), self.face(2)])
        api.delete_faces(1, 1, [{"face_id": 1}])
        self.assertEqual(api.recognize_face(1, self.probe(probe)), [])
        self.assertEqual(ids(api.get_faces(1)), [2])

    def test_deleting_from_an_unknown_user_or_contact_changes_nothing(self) -> None:
        answer = api.delete_faces(8, 8, [{"face_id": 1}])
        self.assertEqual(counts(answer), (0, 0, 1, 0))
        self.assertEqual(counts(api.delete_contact(8, 8)), (0, 0, 0, 0))
        self.assertEqual(counts(api.delete_user(8)), (0, 0, 0, 0))

    def test_deleting_a_contact_deletes_all_its_faces(self) -> None:
        api.add_faces(1, 1, [self.face(1), self.face(2)])
        api.add_faces(1, 2, [self.face(1)])
        self.assertEqual(ids(api.delete_contact(1, 1)["deleted"]), [1, 2])
        self.assertEqual([face["contact_id"] for face in api.get_faces(1)], [2])

    def test_deleting_a_user_deletes_faces_contacts_and_the_user(self) -> None:
        api.add_faces(1, 1, [self.face(1, external_id=3)])
        api.add_faces(1, 2, [self.face(1)])
        deleted = api.delete_user(1)["deleted"]
        self.assertEqual([face["external_id"] for face in deleted], [3, None])
        self.assertEqual(api.get_faces(1), [])
        self.assertFalse(User.objects.get().exists)

    def test_earlier_results_hold_nothing_of_a_deleted_user(self) -> None:
        bad = {"face_id": 9, "face_url": self.web.url("/secret"), "score": 1.0}
        api.add_faces(1, 1, [self.face(1), bad])
        api.delete_faces(1, 1, [self.face(5)])
        api.delete_user(1)
        before = Operation.objects.exclude(kind="delete_user")
        kept = str(list(before.values_list("result", "arguments")))
        self.assertNotIn("127.0.0.1", kept)
        self.assertFalse(OperationImage.objects.exists())

    def test_get_faces_returns_those_of_one_contact_or_of_all(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        api.add_faces(1, 2, [self.face(2)])
        self.assertEqual(ids(api.get_faces(1, 2)), [2])
        self.assertEqual(ids(api.get_faces(1)), [1, 2])
        self.assertEqual(ids(api.get_faces(1, None)), [1, 2])
        self.assertEqual(api.get_faces(1, 3), [])
        self.assertEqual(api.get_faces(2), [])

    def test_recognising_an_image_without_a_face_gives_none(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        self.assertIsNone(api.recognize_face(1, self.web.put(analysed())))
        self.assertIsNone(api.recognize_face(99, self.web.put(analysed())))

    def test_recognising_gives_up_to_three_of_different_contacts_best_first(self) -> None:
        probe = person()
        for contact in range(1, 6):
            face = near(probe, 0.1 * contact)
            api.add_faces(1, contact, [self.face(1, face), self.face(2, near(face, 0.001))])
        with override_settings(FACES_MIN_CONFIDENCE=0.0):
            found = api.recognize_face(1, self.web.put(analysed(probe))) or []
        self.assertEqual([face["contact_id"] for face in found], [1, 2, 3])
        sure = [face["recognition_confidence"] for face in found]
        self.assertEqual(sure, sorted(sure, reverse=True))
        self.assertTrue(all(isinstance(each, float) and 0 <= each <= 1 for each in sure))

    def test_recognising_an_unavailable_image_fails(self) -> None:
        with self.assertRaisesMessage(api.CallFailed, "answered 404"):
            api.recognize_face(1, self.web.url("/nothing"))


class StructuresTests(RecognitionCase):
    def test_every_structure_has_all_keys(self) -> None:
        face = self.face(1, external_id=-4, score=2)
        (added,) = api.add_faces(1, 2, [face])["added"]
        (got,) = api.get_faces(1)
        (deleted,) = api.delete_faces(1, 2, [face])["deleted"]
        for found in (added, got, deleted):
            self.assertLessEqual(KEYS, set(found))
            given = {**face, "user_id": 1, "contact_id": 2, "is_face": True, "id": added["id"]}
            self.assertEqual({key: found[key] for key in KEYS}, given)  # type: ignore[literal-required]

    def test_a_structure_of_an_answer_can_be_sent_again(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        face = api.get_faces(1)[0]
        private = {**face, "l1_id": 1, "_sa_instance_state": object(), "created_date": "today"}
        self.assertEqual(counts(api.delete_faces(1, 1, [private])), (0, 1, 0, 0))
        self.assertEqual(counts(api.add_faces(1, 1, [private])), (1, 0, 0, 0))

    def test_an_id_is_never_used_again(self) -> None:
        seen: list[int] = []
        for _ in range(3):
            seen += [face["id"] for face in api.add_faces(1, 1, [self.face(1)])["added"]]
            api.delete_user(1)
        self.assertEqual(seen, sorted(set(seen)))

    def test_an_image_without_a_face_is_stored_and_never_matched(self) -> None:
        (added,) = api.add_faces(1, 1, [self.faceless(1)])["added"]
        self.assertIs(added["is_face"], False)
        self.assertEqual(Face.objects.filter(is_indexed=True).count(), 0)
        self.assertEqual(api.recognize_face(1, self.probe(person())), [])

    def test_a_bad_url_does_not_affect_other_faces(self) -> None:
        faces: list[Any] = [self.face(1), self.face(2), self.face(3), self.faceless(4)]
        faces[1] = {**faces[1], "face_url": self.web.url("/gone?token=secret")}
        faces += [
            {"face_id": 5, "face_url": "http://10.0.0.1/a.jpg", "score": 1},
            {"face_id": 6, "face_url": "no address at all", "score": 1},
            {"face_id": 7, "face_url": self.web.put(b"no image"), "score": 1},
            {"face_id": 8, "image": b"GIF89a but not really", "score": 1},
        ]
        answer = api.add_faces(1, 1, faces)
        self.assertEqual(ids(answer["added"]), [1, 3, 4])
        self.assertEqual(ids(answer["error"]), [2, 5, 6, 7, 8])
        for face in answer["error"]:
            self.assertTrue(face["reason"])
            self.assertNotIn("secret", face["reason"] or "")
        self.assertEqual(answer["error"][0]["face_url"], faces[1]["face_url"])

    def test_downloads_go_in_parallel(self) -> None:
        faces = [self.face(number) for number in range(4)]
        self.web.wait_for(4)
        self.assertEqual(counts(api.add_faces(1, 1, faces)), (4, 0, 0, 0))

    def test_an_invalid_structure_is_refused(self) -> None:
        good = {"face_id": 1, "face_url": "http://a.example/", "score": 1.0}
        wrong: list[Any] = [
            "faces",
            {"face_id": 1},
            [1],
            [{**good, "face_id": "1"}],
            [{**good, "face_id": True}],
            [{**good, "face_id": 1 << 63}],
            [{**good, "face_id": None}],
            [{**good, "score": float("nan")}],
            [{**good, "score": 10**400}],
            [{**good, "score": "high"}],
            [{"face_id": 1, "face_url": "http://a.example/"}],
            [{"face_id": 1, "score": 1.0}],
            [{**good, "face_url": "http://a.example/\0"}],
            [{**good, "face_url": "http://a.example/\ud800"}],
            [{**good, "face_url": 7}],
            [{**good, "external_id": 1.5}],
            [{**good, "user_id": 2}],
            [{**good, "contact_id": 2}],
            [{**good, "image": "text"}],
            [good] * 101,
        ]
        for faces in wrong:
            with self.subTest(str(faces)[:80]), self.assertRaises(ValueError):
                api.add_faces(1, 1, faces)
        for numbers in ((None, 1), (1, "1"), (1.0, 1)):
            with self.subTest(str(numbers)), self.assertRaises(ValueError):
                api.delete_contact(*numbers)
        self.assertFalse(Operation.objects.exists())


class BeyondTests(RecognitionCase):
    def test_merging_moves_all_faces_and_keeps_their_ids(self) -> None:
        probe, same = person(), self.face(3)
        api.add_faces(1, 1, [self.face(1), same])
        api.add_faces(1, 2, [self.face(2, probe), same])
        api.rename_contact(1, 2, "Ann")
        before = {face["face_id"]: face["id"] for face in api.get_faces(1, 2)}
        answer = api.merge_contacts(1, 1, 2)
        self.assertEqual(ids(answer["added"]), [2])
        self.assertEqual(ids(answer["deleted"]), [3])
        self.assertEqual(answer["added"][0]["id"], before[2])
        self.assertEqual(ids(api.get_faces(1, 1)), [1, 3, 2])
        self.assertEqual(api.get_faces(1, 2), [])
        (found,) = api.recognize_face(1, self.probe(probe)) or []
        self.assertEqual(found["contact_id"], 1)
        self.assertFalse(api.rename_contact(1, 2, "gone"))

    def test_merging_leaves_a_face_whose_face_id_is_taken(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        api.add_faces(1, 2, [self.face(1), self.face(2)])
        answer = api.merge_contacts(1, 1, 2)
        self.assertEqual((ids(answer["added"]), ids(answer["not_found"])), ([2], [1]))
        self.assertEqual(ids(api.get_faces(1, 2)), [1])

    def test_a_moved_face_identifies_the_other_contact(self) -> None:
        probe = person()
        api.add_faces(1, 1, [self.face(1, probe), self.face(2)])
        answer = api.move_face(1, 1, 1, 5)
        self.assertEqual(counts(answer), (1, 0, 0, 0))
        (found,) = api.recognize_face(1, self.probe(probe)) or []
        self.assertEqual((found["contact_id"], found["id"]), (5, answer["added"][0]["id"]))
        self.assertEqual(counts(api.move_face(1, 1, 1, 5)), (0, 0, 1, 0))

    def test_a_face_that_is_requested_twice_moves_once(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        call = commands.move(1, 1, [{"face_id": 1}, {"face_id": 1}, {"face_id": 2}], to=5)
        operation = service.begin(call, owner_id=ANONYMOUS_ID, timeout_s=None)
        service.wait(operation, timeout_s=None)
        answer = service.changes(operation)
        self.assertEqual((ids(answer["added"]), ids(answer["not_found"])), ([1], [1, 2]))

    def test_deleting_a_contact_redacts_results_of_moves(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        asked = {"face_id": 2, "face_url": "http://secret.test/", "external_id": 77}
        call = commands.move(1, 1, [asked], to=5)
        operation = service.begin(call, owner_id=ANONYMOUS_ID, timeout_s=None)
        api.delete_contact(1, 1)
        operation.refresh_from_db()
        self.assertNotIn("secret", json.dumps(operation.result))
        self.assertNotIn("77", json.dumps(operation.result))

    def test_a_contact_can_be_renamed(self) -> None:
        api.add_faces(1, 1, [self.face(1)])
        self.assertTrue(api.rename_contact(1, 1, "Ann"))
        self.assertFalse(api.rename_contact(1, 2, "Bea"))
        self.assertEqual(User.objects.get().contacts.get().name, "Ann")
