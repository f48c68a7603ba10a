"""Every endpoint of galleries, asked by another client with the ids of this one."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from backend.clients.models import Client
from backend.common.http.paths import UUID
from backend.recognition import urls
from backend.recognition.models import Contact, Face, FaceCrop, Feedback, Operation, Rejection, User
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_http import HttpCase
from backend.submissions.models import Submission

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_MODELS: Final = (User, Contact, Face, FaceCrop, Rejection, Feedback, Operation, Submission)
_SECRET: Final = "Ann of Alice"


@override_settings(FACES_GROUP_UNKNOWN=True)
class MatrixTests(HttpCase):
    """Whatever Mallory sends, nothing of Alice's is in an answer, and nothing of it changes."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.mallory = self.key("alice"), self.key("mallory")
        self.owner = Client.objects.get(name="alice").pk
        self.ann = person()
        self.photo = submissions.done(self.ann, owner_id=self.owner)
        submissions.done(near(self.ann, 0.2), owner_id=self.owner)
        stranger = submissions.done(person(), owner_id=self.owner)
        first = self.enrol(_SECRET, self.photo)
        self.contact, self.face_id = first["contact_id"], first["face_id"]
        other = self.enrol(f"{_SECRET}, again", stranger)["contact_id"]
        merged = self.call("post", self.of("/merge"), {"from_contact_id": other}, **self.alice)
        self.operation = merged["Operation-Id"]
        asked = {"submission": str(self.photo.pk), "face": 0}
        found = self.call("post", "/recognition/users/1/recognize", asked, **self.alice)
        self.answer = found["Operation-Id"]
        self.secrets = {_SECRET, *map(str, Submission.objects.values_list("pk", flat=True))}

    def of(self, path: str) -> str:
        return f"/recognition/users/1/contacts/{self.contact}{path}"

    def enrol(self, name: str, photo: Submission) -> Any:
        body = {"name": name, "faces": [{"submission": str(photo.pk), "face": 0}]}
        answer = self.call("post", "/recognition/users/1/contacts/", body, **self.alice)
        return answer.json()["added"][0]

    def paths(self) -> list[str]:
        """Of every endpoint, with Alice's ids."""
        ids = {
            "user_id": "1",
            "contact_id": str(self.contact),
            "face_id": str(self.face_id),
            "answer_id": self.answer,
            "id": self.operation,
        }
        found = []
        for each in urls.urlpatterns:
            path = str(each.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
            for name, value in ids.items():
                for kind in ("-?[0-9]+", UUID):
                    path = path.replace(f"(?P<{name}>{kind})", value)
            found.append("/" + path.replace("[sz]", "s").replace("\\.", "."))
        return found

    def bodies(self) -> list[dict[str, Any]]:
        face = {"submission": str(self.photo.pk), "face": 0}
        return [
            {},
            {"faces": [face], "name": "Mallory's"},
            {"faces": [{"face_id": self.face_id}], "to_contact_id": self.contact},
            {"from_contact_id": self.contact + 1},
            {"yes": [face], "no": []},
            {"yes": [], "no": [face]},
            face,
            {"right": True},
            {"contact_id": self.contact},
            {"name": "Mallory's"},
            {"encoding": [float(each) for each in self.ann]},
        ]

    def state(self) -> dict[str, list[Any]]:
        """All rows of Alice's."""
        found = {}
        for model in _MODELS:
            names = {field.name for field in model._meta.fields}
            paths = {"owner": "owner", "user": "user__owner", "contact": "contact__user__owner"}
            paths |= {"face": "face__user__owner"}
            key = next(path for name, path in paths.items() if name in names)
            rows = model._default_manager.filter(**{key: self.owner}).order_by("pk")
            found[model.__name__] = [repr(row) for row in rows.values()]
        return found

    def check(self, answer: Any, request: str) -> None:
        body = b"".join(answer) if answer.streaming else answer.content
        text = body.decode(errors="replace") + json.dumps(dict(answer.headers), default=str)
        self.assertNotEqual(answer.status_code, 500, request)
        # An id that was sent may come back in an error, and is no news.
        leaked = {each for each in self.secrets if each in text and each not in request}
        self.assertEqual(leaked, set(), f"{request}: {text[:500]}")
        self.assertNotEqual(answer.headers.get("Content-Type"), "image/jpeg", request)

    def test_the_paths_are_those_of_the_service(self) -> None:
        mine = [self.call("get", path, **self.alice).status_code for path in self.paths()]
        self.assertLessEqual(set(mine), {200, 405})
        self.assertGreaterEqual(mine.count(200), 14, dict(zip(self.paths(), mine, strict=True)))

    def test_another_client_learns_and_changes_nothing(self) -> None:
        before = self.state()
        self.assertTrue(all(before[each.__name__] for each in (User, Contact, Face, Operation)))
        for path in self.paths():
            for method in _METHODS:
                for body in [{}] if method == "get" else self.bodies():
                    request = f"{method} {path} {json.dumps(body)}"
                    answer = self.call(
                        method, path, None if method == "get" else body, **self.mallory
                    )
                    self.check(answer, request)
        self.assertEqual(self.state(), before)

    def test_nor_by_an_import_of_what_it_could_guess(self) -> None:
        before = self.state()
        exported = self.call("get", "/recognition/users/1/export/", **self.alice)
        file = SimpleUploadedFile("user.jsonl", b"".join(exported))
        path = "/recognition/users/1/import/"
        answer = self.client.post(path, {"file": file}, headers=self.mallory)
        self.assertEqual(answer.status_code, 201)
        self.assertEqual(self.state(), before)

    def test_erased_ids_are_as_missing_as_those_that_never_were(self) -> None:
        self.call("delete", "/recognition/users/1", **self.alice)
        for path in self.paths():
            if "/users/1" not in path or "answers" in path:
                continue
            answer = self.call("get", path, **self.alice)
            self.assertNotEqual(answer.headers.get("Content-Type"), "image/jpeg", path)
            self.assertNotIn(_SECRET, answer.content.decode(errors="replace"), path)
