"""Export and import of a user: nothing lost, nothing partial, nothing foreign."""

import base64
import gzip
import io
import json
import uuid
from typing import Any
from unittest import mock

from django.test import TestCase
from rest_framework.exceptions import ValidationError

from backend.clients.models import ANONYMOUS_ID
from backend.recognition.gallery import cache
from backend.recognition.models import Contact, Face, Feedback, User
from backend.recognition.operations import retention
from backend.recognition.tests import factories
from backend.recognition.tests.factories import MODEL, add, near, person
from backend.recognition.transfer import exporter, importer, jsonl, line_values
from backend.recognition.transfer.jsonl import Unreadable

Lines = list[dict[str, Any]]


def exported(user: User) -> Lines:
    file = io.BytesIO()
    exporter.write(user, file)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def joined(lines: Lines) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def imported(data: bytes, user_id: int = 2) -> importer.Imported:
    return importer.read(io.BytesIO(data), owner_id=ANONYMOUS_ID, user_id=user_id)


class TransferTests(TestCase):
    def setUp(self) -> None:
        cache.cache.clear()
        self.user = factories.user(1)
        self.ann, self.bea = person(), person()
        self.faces = add(self.user, 5, [near(self.ann, 0.3) for _ in range(3)])
        self.faces += add(self.user, 6, [near(self.bea, 0.3), self.bea])
        ann, bea = self.user.contacts.order_by("pk")
        Contact.objects.filter(pk=ann.pk).update(name='Ann "A" Ünal\n')
        Face.objects.create(
            contact=bea, user=self.user, face_id=-9, score=-2.5, is_face=False, external_id=7
        )
        values = {"is_right": False, "is_truth_known": True, "confidence": 0.75}
        Feedback.objects.create(
            user=self.user, answer_id=uuid.uuid4(), named=ann, truth=bea, **values
        )
        Feedback.objects.create(user=self.user, answer_id=uuid.uuid4(), **values)

    def test_an_import_restores_an_export_with_new_ids(self) -> None:
        out = exported(self.user)
        result = imported(joined(out))
        again = exported(factories.user(2))
        self.assertEqual((result.contacts, result.faces, result.feedback), (2, 6, 2))
        self.assertEqual(len(again), len(out))
        for before, after in zip(out[1:], again[1:], strict=True):
            if "face" in before:
                self.assertEqual(result.ids[before["face"]["id"]], after["face"].pop("id"))
                del before["face"]["id"]
            self.assertEqual(before, after)
        self.assertFalse(set(result.ids) & set(result.ids.values()))

    def test_an_imported_gallery_answers_like_the_exported_one(self) -> None:
        imported(joined(exported(self.user)))
        other = factories.user(2)
        for probe in (self.ann, self.bea):
            one, two = (cache.identify(user, probe, model=MODEL) for user in (self.user, other))
            self.assertEqual([c.distance for c in one], [c.distance for c in two])
            self.assertEqual([c.confidence for c in one], [c.confidence for c in two])

    def test_a_compressed_file_is_imported(self) -> None:
        self.assertEqual(imported(gzip.compress(joined(exported(self.user)))).faces, 6)

    @mock.patch.object(importer, "INDEXED_FACES", 2)
    def test_the_best_faces_of_each_contact_are_indexed(self) -> None:
        Face.objects.filter(pk=self.faces[1].pk).update(score=0.5)
        result = imported(joined(exported(self.user)))
        used = set(
            Face.objects.filter(user=factories.user(2), is_indexed=True).values_list(
                "pk", flat=True
            )
        )
        self.assertEqual(used, {result.ids[self.faces[n].pk] for n in (0, 2, 3, 4)})

    def test_a_user_that_changes_all_the_time_is_locked_for_the_export(self) -> None:
        wanted = len(exported(self.user))
        with mock.patch.object(exporter, "_version", side_effect=range(100)) as version:
            self.assertEqual(len(exported(self.user)), wanted)
        self.assertGreater(version.call_count, 2)

    def test_an_empty_user_round_trips_too(self) -> None:
        result = imported(joined(exported(factories.user(9))))
        self.assertEqual((result.contacts, result.faces), (0, 0))
        self.assertFalse(factories.user(2).exists)

    def test_the_sweep_keeps_imported_contacts_without_faces(self) -> None:
        self.user.faces.all().delete()
        imported(joined(exported(self.user)))
        retention.delete_old()
        self.assertEqual(factories.user(2).contacts.count(), 2)

    def test_a_user_with_faces_is_not_imported_into(self) -> None:
        data = joined(exported(self.user))
        with self.assertRaises(importer.NotEmpty):
            imported(data, user_id=1)
        self.assertEqual(self.user.faces.count(), 6)

    def test_an_invalid_line_is_named_and_nothing_is_stored(self) -> None:
        out = exported(self.user)
        nan = base64.b64encode(b"\0\0\xc0\x7f" * 128).decode()
        short = base64.b64encode(bytes(508)).decode()
        wrong: dict[str, tuple[int, str, Any]] = {
            "an id twice": (4, "id", out[3]["face"]["id"]),
            "a face_id twice": (4, "face_id", out[3]["face"]["face_id"]),
            "a strange contact": (4, "contact_id", 77),
            "a contact that is text": (4, "contact_id", "5"),
            "a face_id that is true": (4, "face_id", True),
            "a face_id of 65 bits": (4, "face_id", 2**63),
            "no number": (4, "score", "1"),
            "a number without end": (4, "score", float("inf")),
            "a short encoding": (4, "encoding", short),
            "an encoding that is no number": (4, "encoding", nan),
            "an encoding that is not base64": (4, "encoding", "&" * 684),
            "a face without encoding": (4, "encoding", None),
            "an encoding without face": (4, "is_face", False),
            "a URL without end": (4, "face_url", "x" * 8193),
            "a zero in a text": (4, "note", "a\0"),
            "half of a character": (4, "note", "\ud800"),
            "a time without zone": (4, "created_at", "2026-01-01T00:00:00"),
            "a moment that never was": (4, "created_at", "2026-02-31T00:00:00Z"),
            "a long name": (1, "name", "x" * 201),
            "an answer that is no id": (9, "answer_id", "x"),
            "a truth nobody knows": (9, "truth", 77),
        }
        for what, (line, key, value) in wrong.items():
            with self.subTest(what):
                changed = json.loads(json.dumps(out))
                next(iter(changed[line].values()))[key] = value
                with self.assertRaisesRegex(Unreadable, f"^Line {line + 1}: "):
                    imported(joined(changed))
        self.assertFalse(Face.objects.filter(user__user_id=2).exists())

    def test_an_incomplete_or_foreign_file_is_refused(self) -> None:
        out, data = exported(self.user), joined(exported(self.user))
        wrong = {
            "empty": b"",
            "no end": joined(out[:-1]),
            "a line lost": joined(out[:4] + out[5:]),
            "cut": data[:-20],
            "an image": b"\xff\xd8\xff\xe0" * 100,
            "a list": b"[1]\n" + data,
            "deep": b"[" * 60_000,
            "many unknown keys": joined([*out[:2], dict.fromkeys(map(str, range(7000)), 1)]),
            "short and then endless": gzip.compress(joined(out[:-1]) + b"{}" + b" " * (300 << 20)),
            "empty lines without end": gzip.compress(joined(out[:-1]) + b"\n" * (3 << 20)),
            "long": b'{"a": "' + b"x" * 70_000 + b'"}',
            "cut when compressed": gzip.compress(data)[:-30],
            "damaged when compressed": gzip.compress(data)[:40] + b"\1" * 200,
            "of another version": joined([{**out[0], "version": 2}, *out[1:]]),
            "in disorder": joined([out[0], out[4], *out[1:4], *out[5:]]),
            "unknown lines": joined([*out[:2], {"password": {}}, *out[2:]]),
            "a missing key": joined([*out[:2], {"contact": {"contact_id": 9}}, *out[2:]]),
        }
        for what, bad in wrong.items():
            with self.subTest(what), self.assertRaisesRegex(Unreadable, "^Line \\d+: "):
                imported(bad)
        self.assertFalse(User.objects.filter(user_id=2).exists())

    def test_a_line_is_valid_where_its_serializer_says_so(self) -> None:
        odd: list[Any] = [
            None,
            "",
            "x",
            "é\n",
            "\0",
            "\ud800",
            "y" * 201,
            "5",
            5,
            -1,
            0.5,
            True,
            2**63,
            10**400,
        ]
        odd += [
            "2026-02-01",
            "2026-02-01T10:00:00+02:00",
            "2026-2-1 9:00Z",
            str(uuid.uuid4()),
            [],
            {},
        ]
        odd += [float("nan"), 1, "A" * 684, "A" * 683 + "=", base64.b64encode(bytes(512)).decode()]
        for line in exported(self.user)[1:-1]:
            ((kind, content),) = line.items()
            for name in content:
                without = {key: value for key, value in content.items() if key != name}
                for changed in (without, *({**content, name: value} for value in odd)):
                    with self.subTest(kind, name=name, value=str(changed.get(name))[:20]):
                        is_valid = line_values.values(kind, changed) is not None
                        self.assertEqual(is_valid, _is_valid(kind, changed))
        self.assertEqual([line_values.values("face", each) for each in odd], [None] * len(odd))

    @mock.patch.object(importer, "MAX_FACES", 5)
    def test_more_faces_than_allowed_are_refused(self) -> None:
        with self.assertRaisesRegex(Unreadable, "At most 5 faces"):
            imported(joined(exported(self.user)))

    def test_more_lines_than_allowed_are_refused(self) -> None:
        out = exported(self.user)
        between = len(out) - 2
        with mock.patch.object(importer, "MAX_LINES", between - 1):
            message = f"Line {between + 1}: At most {between - 1} lines are imported."
            with self.assertRaisesMessage(Unreadable, message):
                imported(joined(out))
        with mock.patch.object(importer, "MAX_LINES", between):
            self.assertEqual(imported(joined(out), user_id=2).contacts, 2)


def _is_valid(kind: str, content: Any) -> bool:
    try:
        jsonl.KINDS[kind].run_validation(content)
    except ValidationError:
        return False
    return True
