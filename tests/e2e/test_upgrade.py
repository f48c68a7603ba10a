"""A database and media folder of release 0.1.0, upgraded by starting this one on them."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final, cast

import requests

from tests.support import old_release, prepared
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Stack
from tests.support.stack_case import StackCase

# The model that holds the rows of each of the old tables today; of others only the old name counts.
_MODELS: Final = {
    "auth_user": "auth.User",
    "clients_apikey": "clients.ApiKey",
    "clients_client": "clients.Client",
    "photos_album": "photos.Album",
    "photos_byhand": "photos.ManualTag",
    "photos_like": "photos.Like",
    "photos_match": "photos.Match",
    "photos_member": "photos.Member",
    "photos_notme": "photos.MatchRejection",
    "photos_notperson": "photos.ClusterExclusion",
    "photos_person": "photos.Person",
    "photos_photo": "photos.Photo",
    "photos_photoface": "photos.PhotoFace",
    "photos_reference": "photos.Reference",
    "photos_unknownface": "photos.UnknownFace",
    "recognition_contact": "recognition.Contact",
    "recognition_face": "recognition.Face",
    "recognition_feedback": "recognition.Feedback",
    "recognition_operation": "recognition.Operation",
    "recognition_otherencoding": "recognition.OtherEncoding",
    "recognition_reembedding": "recognition.Reembedding",
    "recognition_user": "recognition.User",
    "submissions_submission": "submissions.Submission",
    "face_encodings_encodedimage": "face_encodings.EncodedImage",
}

_COUNT: Final = """
import json
from django.apps import apps
models = {models!r}
print(json.dumps({{table: apps.get_model(name).objects.count() for table, name in models.items()}}))
"""

_PASSWORD: Final = "correct horse battery"  # noqa: S105


class UpgradedStack(Stack):
    """A service whose folder and database an old release made; counted before it starts to work."""

    counts: dict[str, int]

    def _prepare(self) -> None:
        if PostgresServer.current is not None:
            self.database_url = PostgresServer.current.create_database()
            self.environ["DATABASE_URL"] = self.database_url
        old_release.restore(self.storage, self.database_url, self.environ)
        prepared.migrate(self.environ)
        ran = self.manage("shell", "-v", "0", "-c", _COUNT.format(models=_MODELS))
        assert ran.returncode == 0, ran.stderr
        self.counts = json.loads(ran.stdout)


class UpgradeTests(StackCase):
    old: ClassVar[dict[str, Any]]
    stack: ClassVar[UpgradedStack]

    @classmethod
    def setUpClass(cls) -> None:
        super(StackCase, cls).setUpClass()
        cls.old = old_release.dump()
        cls.stack = cls.enterClassContext(UpgradedStack())

    def get(self, path: str, key: str = "", **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.stack.get(path, headers=headers, **options)

    def test_each_row_is_there(self) -> None:
        expected = {table: len(self.old["rows"].get(table, [])) for table in _MODELS}
        self.assertEqual(self.stack.counts, expected)

    def test_no_file_is_gone(self) -> None:
        self.assertEqual(set(self.old["media"]) - self.stack.stored_files(), set())

    def test_each_client_sees_its_own_submission_with_boxes_and_picture(self) -> None:
        keys = {"open": "", "ann": self.old["key"], "ben": self.old["other_key"]}
        for name, key in keys.items():
            with self.subTest(name):
                resource = self.get(f"/image/{self.old['uploads'][name]}/", key).json()
                self.assertEqual((resource["status"], resource["faces_count"]), ("done", 4))
                self.assertEqual(len(resource["faces"]), 4)
                picture = self.get(resource["image_url"], key)
                self.assertEqual(picture.status_code, 200)

    def test_erased_images_stay_erased_and_a_revoked_key_revoked(self) -> None:
        erased = self.get(f"/image/{self.old['uploads']['erased']}/", self.old["key"])
        self.assertEqual(erased.status_code, 404)
        self.assertEqual(self.get("/stats/", self.old["revoked_key"]).status_code, 401)

    def test_encodings_and_statistics_of_each_client_are_unchanged(self) -> None:
        hashes = self.old["hashes"]
        keys = {"nobody": "", "ann": self.old["key"], "ben": self.old["other_key"]}
        for name, key in keys.items():
            with self.subTest(name):
                each = [
                    self.get(f"/face_encoding/{hashes[name + number]}", key).json()["face_encoding"]
                    for number in "01"
                ]
                stats = self.get("/stats/", key).json()
                self.assertEqual(stats["number_of_images_processed"], 2)
                for mean, *values in zip(stats["average_face_encodings"][0], *each, strict=True):
                    self.assertAlmostEqual(mean, sum(values) / 2, delta=1e-6)

    def test_statistics_go_on_from_where_they_were(self) -> None:
        """A client of its own, for the others are counted by another test."""
        made = self.stack.manage("create_api_key", "New app").stdout
        key = next(word for word in made.split() if "." in word and len(word) > 30)
        self.encode(key)
        self.assertEqual(self.get("/stats/", key).json()["number_of_images_processed"], 1)

    def encode(self, key: str) -> None:
        answer = self.stack.request(
            "POST",
            "/generate_face_encoding",
            files={"upload_file": ("people.jpg", old_release.PICTURE.read_bytes())},
            headers={"Authorization": f"Bearer {key}"},
        )
        self.assertEqual(answer.status_code, 200, answer.text)

    def test_a_gallery_keeps_its_faces_and_recognises(self) -> None:
        faces = self.get("/recognition/users/7/faces", self.old["key"]).json()
        stored = sorted((face["contact_id"], face["face_id"], face["is_face"]) for face in faces)
        self.assertEqual(stored, [(1, 1, True), (1, 2, False), (2, 1, True)])
        found = self.stack.request(
            "POST",
            "/recognition/users/7/recognize",
            files={"image": ("people.jpg", old_release.PICTURE.read_bytes())},
            headers={"Authorization": f"Bearer {self.old['key']}"},
        )
        self.assertEqual(found.status_code, 200, found.text)
        self.assertIn(found.json()[0]["contact_id"], (1, 2))

    def test_a_member_logs_in_and_sees_the_photos_but_not_the_rejected_one(self) -> None:
        path = "/api/v2/photos/facedetection"
        alice = ("alice", _PASSWORD)
        matches = self.get(f"{path}/matches/", auth=alice).json()
        rows = cast(list[dict[str, Any]], matches["results"])
        names = {row["name"] for row in self.old["rows"]["photos_photo"]}
        self.assertEqual(len(rows), len(names) - 1)
        references = self.get(f"{path}/reference-faces/", auth=alice).json()["results"]
        self.assertEqual([each["status"] for each in references], ["done"])
