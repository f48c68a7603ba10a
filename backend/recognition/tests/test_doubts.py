"""Faces that do not fit, contacts that may be one, hidden contacts, and what can be undone."""

from __future__ import annotations

from typing import Any
from unittest import mock

from django.test import override_settings

from backend.recognition.gallery import doubts
from backend.recognition.models import Contact, Distinct, Face
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import MODEL, Encodings, add, moved, near, person, user
from backend.recognition.tests.test_http import USER, HttpCase

TWINS = f"{USER}/twins/"


def same(encoding: Encodings, count: int = 3) -> list[Encodings]:
    """Faces of one person: two of them are 0.42 apart, as of LFW."""
    return [near(encoding, 0.3) for _ in range(count)]


class DoubtsCase(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch("backend.analysis.services.current_model", return_value=MODEL))
        self.ann, self.bea = person(), person()

    def odd(self, contact: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("get", f"{USER}/contacts/{contact}/odd/").json()[
            "faces"
        ]
        return found

    def twins(self) -> list[list[int]]:
        pairs = self.call("get", TWINS).json()["pairs"]
        return [[each["contact_id"] for each in pair["contacts"]] for pair in pairs]

    def distinct(self, method: str, *ids: int, **headers: str) -> int:
        answer = self.call(method, TWINS, {"contact_ids": list(ids)}, **headers)
        return int(answer.status_code)


class OddTests(DoubtsCase):
    def test_a_face_of_another_person_is_odd_and_named_where_that_one_is_known(self) -> None:
        add(user(), 1, same(self.ann))
        self.assertEqual(self.odd(1), [])
        [stranger] = add(user(), 1, [person()])
        [of_bea] = add(user(), 1, [near(self.bea, 0.2)])
        add(user(), 2, same(self.bea))
        found = {each["face_id"]: each["near_contact_id"] for each in self.odd(1)}
        self.assertEqual(found, {stranger.face_id: None, of_bea.face_id: 2})
        self.assertTrue(all(each["distance"] > 0.6 for each in self.odd(1)))
        self.assertEqual(self.odd(2), [])

    def test_a_single_face_and_one_that_is_not_used_are_not(self) -> None:
        add(user(), 1, same(self.ann, 1))
        self.assertEqual(self.odd(1), [])
        add(user(), 1, same(self.ann))
        [unused] = add(user(), 1, [person()])
        Face.objects.filter(pk=unused.pk).update(is_indexed=False)
        moved(user())
        self.assertEqual(self.odd(1), [])

    def test_what_does_not_exist_is_not_found(self) -> None:
        for path in (TWINS, f"{USER}/undoable/", f"{USER}/contacts/1/odd/"):
            self.assertEqual(self.call("get", path).status_code, 404, path)
        add(user(), 1, same(self.ann))
        self.assertEqual(self.call("get", f"{USER}/contacts/2/odd/").status_code, 404)


class TwinsTests(DoubtsCase):
    def test_two_contacts_of_one_person_are_twins_the_nearest_first(self) -> None:
        for contact, encodings in enumerate(
            (same(self.ann), same(self.bea), same(self.ann), [near(self.bea, 0.1)], [person()]), 1
        ):
            add(user(), contact, encodings)
        self.assertEqual(self.twins(), [[2, 4], [1, 3]])

    def test_one_look_alike_among_many_faces_makes_no_twins(self) -> None:
        first = same(self.ann, 5)
        add(user(), 1, first)
        add(user(), 2, [*same(self.bea, 5), near(first[0], 0.1)])
        self.assertEqual(self.twins(), [])

    def test_in_a_large_gallery_the_newest_faces_are_compared(self) -> None:
        for contact in range(1, 5):
            add(user(), contact, same(self.ann if contact < 3 else self.bea))
        with mock.patch.object(doubts, "MOST_COMPARISONS", 12):
            self.assertEqual(self.twins(), [[3, 4]])

    def test_two_people_are_not_asked_about_again_also_after_a_merge(self) -> None:
        for contact in (1, 2, 3):
            add(user(), contact, same(self.ann))
        self.assertEqual(len(self.twins()), 3)
        self.assertEqual(self.distinct("post", 2, 1), 200)
        self.assertEqual(self.distinct("post", 1, 2), 200)
        self.assertEqual(sorted(self.twins()), [[1, 3], [2, 3]])
        merge = {"from_contact_id": 1}
        self.assertEqual(self.call("post", f"{USER}/contacts/3/merge", merge).status_code, 200)
        self.assertEqual(self.twins(), [])
        self.assertEqual(self.distinct("delete", 2, 3), 200)
        self.assertEqual(self.twins(), [[2, 3]])
        self.call("delete", f"{USER}/contacts/2/")
        self.assertFalse(Distinct.objects.exists())

    def test_odd_bodies_are_refused_and_strangers_not_found(self) -> None:
        add(user(), 1, same(self.ann))
        for ids in ([1], [1, 1], [1, 2, 3], ["1", 2], None, 7):
            answer = self.call("post", TWINS, {"contact_ids": ids})
            self.assertEqual((answer.status_code, [*answer.json()]), (400, ["contact_ids"]), ids)
        self.assertEqual(self.call("post", TWINS, [1]).status_code, 400)
        self.assertEqual(self.distinct("post", 1, 2), 404)
        self.assertEqual(self.distinct("post", 1, 2, **self.key("bob")), 404)

    def test_a_gallery_on_another_model_is_422(self) -> None:
        add(user(), 1, same(self.ann), model="an old one")
        for path in (TWINS, f"{USER}/contacts/1/odd/", f"{USER}/suggestions/"):
            submissions.done(self.ann)
            self.assertEqual(self.call("get", path).status_code, 422, path)


@override_settings(FACES_GROUP_UNKNOWN=True)
class HiddenTests(HttpCase):
    def test_a_hidden_contact_is_recognised_and_in_no_suggestion(self) -> None:
        ann = person()
        photo, later = submissions.done(ann), submissions.done(near(ann, 0.2))
        body = {"name": "", "faces": [{"submission": str(photo.pk), "face": 0}]}
        contact = self.call("post", f"{USER}/contacts/", body).json()["added"][0]["contact_id"]
        path = f"{USER}/contacts/{contact}/"
        self.assertEqual(len(self.call("get", f"{USER}/suggestions/").json()["contacts"]), 1)
        self.assertEqual(self.call("patch", path, {"is_hidden": True}).json()["is_hidden"], True)
        self.assertEqual(self.call("get", f"{USER}/suggestions/").json(), {"contacts": []})
        self.assertEqual(self.call("get", f"{USER}/unknown/").json()["groups"], [])
        probe = {"submission": str(later.pk), "faces": "all"}
        [face] = self.call("post", f"{USER}/recognize", probe).json()["faces"]
        self.assertTrue(face["candidates"][0]["is_hidden"])
        shown = self.call("patch", path, {"is_hidden": False, "name": "Ann"}).json()
        self.assertEqual((shown["is_hidden"], shown["name"]), (False, "Ann"))
        for wrong in ({}, {"is_hidden": "yes"}, {"name": None}, {"is_hidden": None}):
            self.assertEqual(self.call("patch", path, wrong).status_code, 400, wrong)
        self.assertEqual(Contact.objects.get().name, "Ann")


class UndoableTests(HttpCase):
    def test_merges_and_decisions_are_listed_until_they_are_undone(self) -> None:
        ann = person()
        one, two, three = (submissions.done(near(ann, 0.1)) for _ in range(3))
        contacts = []
        for name, photo in (("Ann", one), ("Anna", two)):
            body = {"name": name, "faces": [{"submission": str(photo.pk), "face": 0}]}
            added = self.call("post", f"{USER}/contacts/", body).json()["added"]
            contacts.append(added[0]["contact_id"])
        path = f"{USER}/contacts/{contacts[0]}"
        merged = self.call("post", f"{path}/merge", {"from_contact_id": contacts[1]})
        yes = {"yes": [{"submission": str(three.pk), "face": 0}], "no": []}
        self.call("post", f"{path}/decisions", yes)
        decided, merge = self.call("get", f"{USER}/undoable/").json()["operations"]
        self.assertEqual((decided["kind"], decided["name"]), ("decide", "Ann"))
        self.assertEqual((merge["from_name"], merge["from_contact_id"]), ("Anna", contacts[1]))
        self.assertEqual(merge["operation_id"], merged["Operation-Id"])
        undo = f"/recognition/operations/{merge['operation_id']}/undo/"
        self.assertEqual(self.call("post", undo).status_code, 200)
        left = self.call("get", f"{USER}/undoable/").json()["operations"]
        self.assertEqual([each["kind"] for each in left], ["decide"])
        self.call("delete", f"{path}/")
        self.assertEqual(self.call("get", f"{USER}/undoable/").json(), {"operations": []})
