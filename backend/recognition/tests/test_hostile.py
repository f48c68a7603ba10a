"""Hostile requests are refused in the API's shape of errors, and never by a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from django.core.files.uploadedfile import SimpleUploadedFile

from backend.common import bounded_json
from backend.recognition.tests.test_http import FACES, USER, HttpCase

FEEDBACK: Final = f"{USER}/answers/00000000-0000-4000-8000-000000000000/feedback"
MERGE: Final = f"{USER}/contacts/2/merge"
SEARCH: Final = "/recognition/search"

NO_INTEGERS: Final = (
    *("true", "1.0", '"1"', "[]", "{}", "NaN", "-1e400"),
    *(str(1 << 63), str(-(1 << 63) - 1), "9" * 400, "9" * 5000),
)
NO_TEXTS: Final = ('"a\\u0000b"', '"\\ud800"', "7", "[]", "true", f'"{"a" * 9000}"')
NO_BODIES: Final[tuple[str | bytes, ...]] = (
    *("", "null", "7", '"a"', "{", "[7]", "[[]]", '{"faces": {}}', '{"faces": [null]}'),
    *('{"image": 5}', '{"image": "%%%"}', '{"encoding": [1e308]}', '{"right": 1}'),
    *("[" * 100_000, '{"faces":' + "[" * 100_000, b"\xff\xfe", b"\x00"),
    *(f'{{"encoding": [{",".join([number] * 128)}]}}' for number in ("1e300", "9" * 400, "true")),
)


def face(**changes: str) -> str:
    """A call with one face; the values are JSON already."""
    values = {"face_id": "1", "score": "1", "face_url": '"http://a/"', **changes}
    inside = ", ".join(f'"{name}": {text}' for name, text in values.items())
    return f'{{"faces": [{{{inside}}}]}}'


class HostileTests(HttpCase):
    def assert_refused(self, method: str, path: str, body: str | bytes) -> None:
        answer = getattr(self.client, method)(path, data=body, content_type="application/json")
        context = (method, path, str(body)[:200], answer.status_code, answer.content[:200])
        self.assertIn(answer.status_code, range(400, 500), context)
        self.assertIsInstance(answer.json(), dict, context)

    def test_integers_of_more_than_64_bits_and_other_types_are_refused(self) -> None:
        for value in NO_INTEGERS:
            for name in ("face_id", "external_id", "user_id", "contact_id"):
                self.assert_refused("post", FACES, face(**{name: value}))
            self.assert_refused("delete", FACES, face(face_id=value))
            self.assert_refused("post", MERGE, f'{{"from_contact_id": {value}}}')
            self.assert_refused("post", FEEDBACK, f'{{"contact_id": {value}}}')
            self.assert_refused("post", SEARCH, f'{{"limit": {value}, "encoding": [1]}}')

    def test_a_score_is_a_finite_number(self) -> None:
        for value in ("true", '"1"', "NaN", "Infinity", "1e999", "9" * 400, "null", "[]"):
            self.assert_refused("post", FACES, face(score=value))

    def test_texts_that_a_database_cannot_store_are_refused(self) -> None:
        for value in NO_TEXTS:
            self.assert_refused("post", FACES, face(face_url=value))
            self.assert_refused("post", f"{USER}/recognize", f'{{"face_url": {value}}}')
            self.assert_refused("patch", f"{USER}/contacts/2", f'{{"name": {value}}}')

    def test_bodies_of_other_shapes_are_refused_at_any_depth(self) -> None:
        recognise, contact = f"{USER}/recognize", f"{USER}/contacts/2"
        for body in NO_BODIES:
            for path in (FACES, f"{FACES}/move", MERGE, recognise, FEEDBACK, SEARCH):
                self.assert_refused("post", path, body)
            self.assert_refused("delete", FACES, body)
            self.assert_refused("patch", contact, body)

    def test_a_body_of_millions_of_values_is_413(self) -> None:
        body = b"[" + b"{}," * (bounded_json.MAX_VALUES // 2) + b"{}]"
        for answer in (
            self.client.post(FACES, data=body, content_type="application/json"),
            self.client.post(FACES, data={"faces": body.decode()}),
        ):
            self.assertEqual(answer.status_code, 413)
            self.assertEqual(list(answer.json()), ["detail"])

    def test_a_large_body_without_files_is_accepted_and_a_larger_one_is_413(self) -> None:
        large = {"faces": [{"face_id": 1, "score": 1.0, "image": "A" * (4 << 20)}]}
        path = "/recognition/users/1/contacts/1/faces/"
        answer = self.client.post(path, large, content_type="application/json")
        self.assertNotIn(answer.status_code, (400, 413), answer.content)
        with self.settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1 << 20):
            answer = self.client.post(path, large, content_type="application/json")
        self.assertEqual(answer.status_code, 413)
        self.assertIn("at most 1 MiB", answer.json()["detail"])

    def test_the_charset_of_a_request_is_ignored(self) -> None:
        form = b'--x\r\nContent-Disposition: form-data; name="face_id"\r\n\r\n1\r\n--x--\r\n'
        for codec in ("idna", "punycode", "utf-7", "unicode_escape"):
            kind = f"multipart/form-data; boundary=x; charset={codec}"
            answer = self.client.generic("POST", FACES, form, content_type=kind)
            self.assertEqual(answer.json(), {"score": ["This field is required."]})
            kind = f"application/json; charset={codec}"
            answer = self.client.generic("POST", FACES, b'{"faces": []}', content_type=kind)
            self.assertEqual(answer.status_code, 200, codec)

    def test_numbers_of_paths_and_queries_are_validated_before_any_query(self) -> None:
        for number in ("-" + "9" * 19, "9" * 20, "9" * 5000, "-", "1.0", "٣", "%00", "+1"):
            for path in (f"/recognition/users/{number}/faces", f"{FACES}/{number}"):
                self.assert_refused("get", path, b"")
                self.assert_refused("delete", path, b"{}")
        self.add(self.face(1))
        for query in ("after=-1", "after=٣", "after=99999999999999999999", "limit=1e3", "limit=-1"):
            self.assertEqual(self.call("get", f"{FACES}?{query}").status_code, 400, query)
        self.assertEqual(self.call("get", f"{FACES}?after={(1 << 63) - 1}").json(), [])

    def test_an_import_with_invalid_values_is_400_with_its_line(self) -> None:
        for name, value in NO_VALUES:
            answer = self.imported(**{name: value})
            self.assertEqual(answer.status_code, 400, (name, value, answer.content[:200]))
            self.assertRegex(answer.json()["file"][0], "^Line [0-9]: ")

    def imported(self, **changes: Any) -> Any:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines(changes))
        file = SimpleUploadedFile("user.jsonl", data)
        return self.client.post("/recognition/users/7/import", {"file": file})


NO_VALUES: Final[tuple[tuple[str, Any], ...]] = (
    # On the edge of the calendar, and beyond it in UTC.
    ("created_at", "0001-01-01T00:00:00+23:59"),
    ("created_at", "9999-12-31T23:59:59-23:59"),
    ("score", 10**400),
    ("confidence", -5.0),
    ("confidence", 1.5),
    ("face_id", 1 << 63),
    ("external_id", True),
    ("name", "a\0"),
    ("name", "\ud800"),
    ("truth", 5),
    ("contact_id", [1]),
    ("id", {}),
    ("encoding", "AAAA"),
)


def lines(changes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An exported user with these values in it."""
    day = {"created_at": "2026-01-01T00:00:00+00:00"}
    empty = dict.fromkeys(("face_url", "model", "sha256", "note"), "")
    known = {"id": 1, "contact_id": 1, "face_id": 1, "external_id": None, "score": 1.0}
    said = {"answer_id": "00000000-0000-4000-8000-000000000000", "named": None, "truth": None}
    sure = {"is_right": True, "is_truth_known": True, "confidence": 0.5}
    yield {"format": "faces-gallery", "version": 1, "user_id": 1}
    yield {"contact": {"contact_id": 1, "name": ""} | changes}
    yield {"face": {**known, **empty, **day, "is_face": False, "encoding": None} | changes}
    yield {"feedback": {**said, **sure, **day} | changes}
    yield {"end": {"contact": 1, "face": 1, "feedback": 1}}
