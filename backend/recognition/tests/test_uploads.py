"""The faces of a client's own uploads: unknown ones in groups, known ones as suggestions."""

from typing import Any

from django.test import override_settings

from backend.clients.models import Client, Scope
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_http import USER, HttpCase
from backend.submissions.models import Submission

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
