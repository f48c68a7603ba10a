"""The faces of a client's own uploads: unknown ones in groups, known ones as suggestions."""

import json
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

from django.test import override_settings
from django.utils import timezone

from backend.clients.models import Client, Scope
from backend.recognition.models import FaceCrop, Operation, Rejection
from backend.recognition.tests import submissions
from backend.recognition.tests.base import counts
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_http import USER, HttpCase
from backend.submissions.models import Submission
from tests.support.at_once import at_once

UNKNOWN = f"{USER}/unknown/"


class UploadsCase(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bea = person(), person()

    def groups(self, path: str = UNKNOWN, **headers: str) -> list[list[tuple[str, int]]]:
        found = self.call("get", path, **headers).json()["groups"]
        return [places(group["faces"]) for group in found]

    def enrol(self, photo: Submission, face: int = 0, name: str = "Ann") -> int:
        body = {"name": name, "faces": [{"submission": str(photo.pk), "face": face}]}
        added = self.call("post", f"{USER}/contacts/", body).json()["added"]
        return int(added[0]["contact_id"])


def places(faces: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(face["submission"], face["face"]) for face in faces]


@override_settings(FACES_GROUP_UNKNOWN=True)
class UnknownTests(UploadsCase):
    def test_faces_of_one_person_are_one_group_and_the_largest_is_first(self) -> None:
        stranger = submissions.done(person())
        pair = submissions.done(self.ann, self.bea)
        one = submissions.done(near(self.bea, 0.2))
        two = submissions.done(near(self.bea, 0.25))
        self.assertEqual(
            self.groups(),
            [
                [(str(pair.pk), 1), (str(one.pk), 0), (str(two.pk), 0)],
                [(str(stranger.pk), 0)],
                [(str(pair.pk), 0)],
            ],
        )

    def test_known_enrolled_and_poor_faces_are_in_none(self) -> None:
        photo = submissions.done(self.ann, self.bea)
        submissions.done(near(self.ann, 0.1))
        poor = submissions.done(person())
        assert poor.analysis is not None
        poor.analysis.faces.update(too_poor="small")
        self.enrol(photo)
        self.assertEqual(self.groups(), [[(str(photo.pk), 1)]])

    def test_with_a_large_gallery_the_newest_faces_are_compared(self) -> None:
        self.enrol(submissions.done(self.ann))
        older, newer = (submissions.done(person()) for _ in range(2))
        self.assertEqual(len(self.groups()), 2)
        with mock.patch("backend.recognition.gallery.uploads.MOST_COMPARISONS", 1):
            self.assertEqual(self.groups(), [[(str(newer.pk), 0)]])
        self.assertNotEqual(older.pk, newer.pk)

    def test_a_face_whose_only_candidate_is_rejected_is_unknown(self) -> None:
        contact = self.enrol(submissions.done(self.ann))
        photo = submissions.done(near(self.ann, 0.1))
        self.assertEqual(self.groups(), [])
        face = {"submission": str(photo.pk), "face": 0}
        self.call("post", f"{USER}/contacts/{contact}/rejections", face)
        self.assertEqual(self.groups(), [[(str(photo.pk), 0)]])

    def test_copies_of_the_same_bytes_count_once(self) -> None:
        photo = submissions.done(self.ann)
        copy = submissions.copy_of(photo)
        self.assertEqual(len(self.groups()), 1)
        self.client.delete(f"/image/{copy.pk}/")
        self.assertEqual(self.groups(), [[(str(photo.pk), 0)]])
        self.client.delete(f"/image/{photo.pk}/")
        self.assertEqual(self.groups(), [])

    def test_each_face_has_a_picture_which_is_the_clients_alone(self) -> None:
        submissions.done(self.ann)
        url = self.call("get", UNKNOWN).json()["groups"][0]["faces"][0]["crop_url"]
        path = url[url.index("/image/") :]
        self.assertEqual(self.client.get(path)["Content-Type"], "image/jpeg")
        self.assertEqual(self.client.get(path.replace("/0/", "/1/")).status_code, 404)
        self.assertEqual(self.call("get", path, **self.key("bob", Scope.READ)).status_code, 404)

    def test_they_are_the_calling_clients_alone(self) -> None:
        submissions.done(self.ann)
        bob = self.key("bob")
        self.assertEqual(self.groups(**bob), [])
        his = submissions.done(self.bea, owner_id=Client.objects.get(name="bob").pk)
        self.assertEqual(self.groups(**bob), [[(str(his.pk), 0)]])
        self.assertEqual(len(self.groups()), 1)
        reader = self.key("bob", Scope.READ)
        self.assertEqual(self.call("get", UNKNOWN, **reader).status_code, 403)

    @override_settings(FACES_GROUP_UNKNOWN=False)
    def test_switched_off_there_are_none(self) -> None:
        submissions.done(self.ann)
        answer = self.call("get", UNKNOWN)
        self.assertEqual(answer.status_code, 404)
        self.assertIn("FACES_GROUP_UNKNOWN", answer.json()["detail"])


class SuggestionsCase(UploadsCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo = submissions.done(self.ann)
        self.contact = self.enrol(self.photo)
        self.near = submissions.done(near(self.ann, 0.2), near(self.ann, 0.1))

    def suggested(self, **headers: str) -> list[list[tuple[str, int]]]:
        found = self.call("get", f"{USER}/suggestions/", **headers).json()["contacts"]
        return [places(each["faces"]) for each in found]

    def place(self, face: int, photo: Submission | None = None) -> dict[str, Any]:
        return {"submission": str((photo or self.near).pk), "face": face}

    def decide(self, yes: Any = (), no: Any = (), *, contact: int = 0, **headers: str) -> Any:
        path = f"{USER}/contacts/{contact or self.contact}/decisions/"
        return self.call("post", path, {"yes": list(yes), "no": list(no)}, **headers)

    def undo(self, answer: Any, **headers: str) -> Any:
        path = f"/recognition/operations/{answer['Operation-Id']}/undo/"
        return self.call("post", path, **headers)

    def counts(self) -> dict[str, int]:
        found = self.call("get", f"{USER}/contacts/").json()
        return {each["name"]: each["faces_count"] for each in found}


class DecisionsTests(SuggestionsCase):
    def test_faces_that_a_contact_may_be_are_suggested_the_surest_first(self) -> None:
        submissions.done(self.bea)
        self.assertEqual(self.suggested(), [[(str(self.near.pk), 1), (str(self.near.pk), 0)]])
        (ann,) = self.call("get", f"{USER}/suggestions/").json()["contacts"]
        self.assertEqual((ann["name"], ann["faces_count"]), ("Ann", 2))
        crop = ann["faces"][0]["near_crop_url"]
        self.assertEqual(self.client.get(crop[crop.index("/recognition/") :]).status_code, 200)
        self.assertEqual(ann["faces"][0]["certainty"], "sure")

    def test_many_answers_are_one_operation_with_crops_and_one_undo(self) -> None:
        answer = self.decide([self.place(1)], [self.place(0)])
        found = answer.json()
        self.assertEqual(counts(found), (1, 0, 0, 0))
        self.assertEqual(found["rejected"], 1)
        self.assertEqual(found["operation_id"], answer["Operation-Id"])
        self.assertEqual(self.suggested(), [])
        self.assertEqual(FaceCrop.objects.count(), 2)
        undone = self.undo(answer)
        self.assertEqual(counts(undone.json()), (0, 1, 0, 0))
        self.assertEqual(self.counts(), {"Ann": 1})
        self.assertEqual((Rejection.objects.count(), FaceCrop.objects.count()), (0, 1))
        self.assertEqual(len(self.suggested()[0]), 2)
        self.assertEqual(self.undo(answer).status_code, 422)

    def test_of_undos_at_the_same_time_one_takes_effect(self) -> None:
        answer = self.decide([self.place(1)], [self.place(0)])
        undone = at_once([partial(self.undo, answer)] * 4)
        self.assertEqual(sorted(each.status_code for each in undone), [200, 422, 422, 422])
        self.assertEqual((self.counts(), Rejection.objects.count()), ({"Ann": 1}, 0))
        undos = Operation.objects.filter(kind="undo")
        self.assertEqual(sorted(each.status for each in undos), ["done"] + ["failed"] * 3)

    def test_a_rejection_that_was_there_before_survives_the_undo(self) -> None:
        first = self.decide(no=[self.place(0)])
        second = self.decide([self.place(1)], [self.place(0)])
        self.undo(second)
        self.assertEqual(Rejection.objects.count(), 1)
        self.undo(first)
        self.assertEqual(Rejection.objects.count(), 0)

    def test_what_was_deleted_or_moved_since_stays_as_it_is(self) -> None:
        answer = self.decide([self.place(0), self.place(1)])
        gone = answer.json()["added"][0]["face_id"]
        self.call("delete", f"{USER}/contacts/{self.contact}/faces/{gone}/")
        self.assertEqual(counts(self.undo(answer).json()), (0, 1, 0, 0))
        self.assertEqual(self.counts(), {"Ann": 1})

    def test_each_face_that_cannot_be_used_is_named_and_the_others_are_stored(self) -> None:
        self.client.delete(f"/image/{self.photo.pk}/")
        found = self.decide(
            [self.place(1), self.place(7)], [self.place(0), self.place(0, self.photo)]
        ).json()
        self.assertEqual(counts(found), (1, 0, 0, 2))
        self.assertEqual(found["rejected"], 1)
        self.assertTrue(all(each["reason"] for each in found["error"]))

    def test_invalid_bodies_are_400_and_an_unknown_contact_404(self) -> None:
        one = self.place(0)
        for yes, no in (([], []), ([one], [one]), ([{"face": 0}], []), ([one] * 2, []), (7, [])):
            path = f"{USER}/contacts/{self.contact}/decisions/"
            answer = self.call("post", path, {"yes": yes, "no": no})
            self.assertEqual(answer.status_code, 400, (yes, no))
        self.assertEqual(self.decide([one], contact=99).status_code, 404)
        self.assertEqual(self.counts(), {"Ann": 1})

    def test_they_are_the_calling_clients_alone(self) -> None:
        answer = self.decide([self.place(1)])
        bob = self.key("bob")
        self.assertEqual(self.suggested(**bob), [])
        self.assertEqual(self.decide([self.place(0)], contact=self.contact, **bob).status_code, 404)
        self.assertEqual(self.undo(answer, **bob).status_code, 404)
        self.assertEqual(self.undo(answer, **self.key("bob", Scope.READ)).status_code, 403)
        self.add(self.face(1), path=f"{USER}/contacts/{self.contact}/faces", **bob)
        self.assertEqual(
            counts(self.decide([self.place(0)], contact=self.contact, **bob).json()), (0, 0, 0, 1)
        )
        self.assertEqual(self.suggested(**bob), [])

    def test_a_polled_operation_has_the_result(self) -> None:
        answer = self.decide([self.place(1)])
        path = f"/recognition/operations/{answer['Operation-Id']}/"
        self.assertEqual(self.call("get", path).json()["result"], answer.json())

    def test_undone_is_only_what_can_be_and_within_a_day(self) -> None:
        self.assertEqual(
            self.undo({"Operation-Id": self.rename("Anna")["Operation-Id"]}).status_code, 422
        )
        answer = self.decide([self.place(1)])
        long_ago = timezone.now() - timedelta(days=1, minutes=1)
        Operation.objects.filter(pk=answer["Operation-Id"]).update(processed_at=long_ago)
        self.assertEqual(self.undo(answer).status_code, 422)
        self.assertEqual(self.counts(), {"Anna": 2})

    def rename(self, name: str) -> Any:
        return self.call("patch", f"{USER}/contacts/{self.contact}", {"name": name})


class MergeUndoTests(SuggestionsCase):
    def setUp(self) -> None:
        super().setUp()
        self.pair = submissions.done(self.bea, person())
        self.other = self.enrol(self.pair, name="Bea")
        self.decide(no=[self.place(1, self.pair)], contact=self.other)

    def merge(self, into: int, source: int) -> Any:
        path = f"{USER}/contacts/{into}/merge"
        return self.call("post", path, {"from_contact_id": source})

    def test_both_contacts_are_as_before_with_names_faces_and_rejections(self) -> None:
        answer = self.merge(self.contact, self.other)
        self.assertEqual(self.counts(), {"Ann": 2})
        self.assertEqual(counts(self.undo(answer).json()), (1, 0, 0, 0))
        self.assertEqual(self.counts(), {"Ann": 1, "Bea": 1})
        self.assertEqual(Rejection.objects.get().contact.name, "Bea")
        body = {"submission": str(self.pair.pk), "faces": "all"}
        found = self.call("post", f"{USER}/recognize", body).json()["faces"][0]["candidates"]
        self.assertEqual(found[0]["name"], "Bea")
        self.assertEqual(self.undo(answer).status_code, 422)

    def test_of_undos_at_the_same_time_one_takes_effect(self) -> None:
        answer = self.merge(self.contact, self.other)
        undone = at_once([partial(self.undo, answer)] * 4)
        self.assertEqual(sorted(each.status_code for each in undone), [200, 422, 422, 422])
        self.assertEqual(self.counts(), {"Ann": 1, "Bea": 1})

    def test_a_name_that_the_target_got_is_taken_off_again(self) -> None:
        self.call("patch", f"{USER}/contacts/{self.contact}", {"name": ""})
        self.undo(self.merge(self.contact, self.other))
        self.assertEqual(self.counts(), {"": 1, "Bea": 1})

    def test_faces_that_came_later_stay_with_the_target(self) -> None:
        answer = self.merge(self.contact, self.other)
        self.decide([self.place(0)])
        self.undo(answer)
        self.assertEqual(self.counts(), {"Ann": 2, "Bea": 1})

    def test_nothing_of_a_contact_that_was_forgotten_comes_back_or_is_kept(self) -> None:
        answer = self.merge(self.contact, self.other)
        self.call("delete", f"{USER}/contacts/{self.contact}")
        self.assertEqual(self.undo(answer).status_code, 422)
        self.assertEqual(self.counts(), {})
        kept = [json.dumps(each.result) for each in Operation.objects.all()]
        self.assertFalse(any("Bea" in each for each in kept))

    def test_after_a_second_merge_only_that_can_be_undone(self) -> None:
        first = self.merge(self.contact, self.other)
        third = self.enrol(submissions.done(person()), name="Cem")
        second = self.merge(third, self.contact)
        self.assertEqual(self.undo(first).status_code, 422)
        self.undo(second)
        self.assertEqual(self.counts(), {"Ann": 2, "Cem": 1})
