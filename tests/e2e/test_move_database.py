"""`manage.py move_database`: a service goes from SQLite to PostgreSQL and loses nothing."""

import hashlib
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg

from backend.photos.tests import factories
from tests.support import photographs, samples
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Stack, wait_until
from tests.support.stack_case import StackCase

# Also where the tests are on PostgreSQL.
_ON_SQLITE: Final = {"DATABASE_URL": ""}

_TABLES: Final = (
    "analysis_analysis",
    "analysis_face",
    "clients_apikey",
    "clients_auditentry",
    "face_encodings_encodedimage",
    "face_encodings_statisticscounter",
    "photos_album",
    "photos_archiveupload",
    "photos_photo",
    "photos_photoface",
    "recognition_contact",
    "recognition_face",
    "recognition_operation",
    "recognition_user",
    "submissions_submission",
)


_FACES: Final = "/recognition/users/1/contacts/1/faces"


class MoveCase(StackCase):
    options: ClassVar[dict[str, Any]] = {"settings": _ON_SQLITE}
    shares = "moved"
    server: ClassVar[PostgresServer]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.shared("server", PostgresServer)
        super().setUpClass()


class RefusalTests(MoveCase):
    """A service at rest on SQLite, also where it has moved before; something is amiss."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not cls.stack.submissions():
            cls.stack.wait_ended([cls.stack.upload(samples.no_face())])
        cls.stack.stop_processes()
        cls.stack.use_database("")

    def setUp(self) -> None:
        self.url = self.server.create_database()
        self.addCleanup(self.server.drop_database, self.url)

    def assert_refused(self, why: str, *, to: str = "") -> str:
        """Nothing is there afterwards that was not there before; returns what was printed."""
        before = self.tables()
        moved = self.stack.manage("move_database", "--to", to or self.url)
        self.assertEqual((moved.returncode, moved.stdout), (1, ""), moved.stderr)
        self.assertIn(why, moved.stderr)
        self.assertEqual(self.tables(), before)
        return moved.stderr

    def tables(self) -> list[str]:
        with psycopg.connect(self.url) as connection:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return [row[0] for row in connection.execute(sql)]

    def sqlite(self, sql: str) -> None:
        with closing(sqlite3.connect(self.stack.storage / "db.sqlite3")) as database, database:
            database.execute(sql)

    def test_a_row_that_is_in_work(self) -> None:
        sql = "UPDATE submissions_submission SET status = '{}', claimed_until = '{}'"
        self.addCleanup(self.sqlite, sql.format("done", "2000-01-01 00:00:00"))
        self.sqlite(sql.format("processing", "2999-01-01 00:00:00"))
        self.assert_refused("is in work until 2999")

    def test_another_process_that_has_the_database_open(self) -> None:
        with closing(sqlite3.connect(self.stack.storage / "db.sqlite3")) as database:
            database.execute("SELECT 1 FROM clients_client")
            self.assert_refused("have the database open")

    def test_a_target_that_holds_something(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("CREATE TABLE analysis_face (id int)")
        self.assert_refused("The target is not empty")

    def test_a_target_that_is_no_postgresql(self) -> None:
        printed = self.assert_refused("--to must be like", to="mysql://a:secret@b/c")
        self.assertNotIn("secret", printed)

    def test_a_target_that_is_not_there(self) -> None:
        self.assert_refused("Nothing was moved", to="postgres://nobody@127.0.0.1:1/nothing")

    def test_a_service_that_has_moved_already(self) -> None:
        self.addCleanup(self.stack.environ.update, _ON_SQLITE)
        self.stack.environ["DATABASE_URL"] = self.url
        self.assert_refused("DATABASE_URL is set already")

    def test_a_value_that_postgresql_refuses_rolls_everything_back(self) -> None:
        sql = "UPDATE clients_client SET name = '{}' WHERE id = 1"
        self.addCleanup(self.sqlite, sql.format("anonymous"))
        self.sqlite(sql.format("x" * 101))
        self.assert_refused("clients_client cannot be copied: value too long")


class MoveTests(MoveCase):
    maxDiff = None

    def test_a_service_goes_on_where_it_was_with_everything_it_had(self) -> None:
        stack = self.stack
        people = [photographs.read("obama.jpg"), photographs.read("biden.jpg")]
        ids = [stack.upload(image) for image in (*people, samples.no_face())]
        for image in people:
            files = {"upload_file": ("a.jpg", image)}
            # The answer is not kept: its connection would live as long.
            path = "/generate_face_encoding"
            self.assertEqual(stack.request("POST", path, files=files).status_code, 200)
        stack.wait_ended(ids)
        _take_in_an_album(stack, {"obama.jpg": people[0], "notes.txt": b"x"})
        self.assertEqual(self.add_face(stack, 1, samples.no_face()), 1)
        self.assertEqual(self.add_face(stack, 2, people[0]), 2)
        self.assertEqual(stack.request("DELETE", f"{_FACES}/2").status_code, 200)
        key = stack.manage("create_api_key", "alice").stdout.splitlines()[-1]
        seen, keys, files_kept = _seen(stack, ids, people, key), _keys(stack), stack.stored_files()
        url = self.server.create_database()
        while_it_runs = stack.manage("move_database", "--to", url)
        self.assertIn("Stop the service first.", while_it_runs.stderr)

        stack.stop_processes()
        moved = stack.manage("move_database", "--to", url)
        self.assertEqual(moved.returncode, 0, moved.stderr)
        self.assertIn("analysis_face: 2 rows, ", moved.stdout)
        stack.use_database(url)
        self.assertEqual(_keys(stack), keys)

        stack.start_processes()
        self.assertEqual(_seen(stack, ids, people, key), seen)
        self.assertEqual(stack.stored_files(), files_kept)
        # What is new gets new numbers, and what was known is known.
        analyses = len(keys["analysis_analysis"])
        again, new = stack.upload(people[0]), stack.upload(samples.another(people[0], 1))
        ended = stack.wait_ended([again, new])
        self.assertEqual({each["status"] for each in ended.values()}, {"done"})
        self.assertEqual(len(_keys(stack)["analysis_analysis"]), analyses + 1)
        self.assertEqual(stack.manage("create_api_key", "bob").returncode, 0)
        # Also not the number of what had been deleted before the move.
        self.assertEqual(self.add_face(stack, 3, people[1]), 3)

    def add_face(self, stack: Stack, face_id: int, image: bytes) -> int:
        """Its id, which is never used again."""
        fields = {"face_id": str(face_id), "score": "1"}
        answer = stack.request("POST", _FACES, data=fields, files={"image": ("a.jpg", image)})
        self.assertEqual(answer.status_code, 200, answer.text)
        (added,) = answer.json()["added"]
        return int(added["id"])


def _seen(stack: Stack, ids: list[str], people: list[bytes], key: str) -> list[Any]:
    """What clients can ask about."""
    hashes = [hashlib.sha256(image).hexdigest() for image in people]
    paths = [f"/image/{id}/" for id in ids] + [f"/face_encoding/{each}" for each in hashes]
    answers = [stack.get(path) for path in (*paths, "/stats/")]
    answers.append(stack.get("/stats/", headers={"Authorization": f"Bearer {key}"}))
    assert {answer.status_code for answer in answers} == {200}, answers
    return [answer.json() for answer in answers]


def _take_in_an_album(stack: Stack, files: dict[str, bytes]) -> None:
    """Its photo refers to the album, and the album to its cover."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "album.zip")
        archive.write_bytes(factories.zipped(files))
        imported = stack.manage("import_album", str(archive))
    assert imported.returncode == 0, imported.stderr
    wait_until(
        lambda: not stack.query("SELECT id FROM photos_album WHERE is_processing"),
        "the album is complete",
    )
    with closing(sqlite3.connect(stack.storage / "db.sqlite3", timeout=20)) as database:
        database.execute("UPDATE photos_album SET cover_id = (SELECT min(id) FROM photos_photo)")
        database.commit()


def _keys(stack: Stack) -> dict[str, set[str]]:
    """The primary keys in each table of ours."""
    return {
        table: {str(row["id"]).replace("-", "") for row in stack.query(f"SELECT id FROM {table}")}
        for table in _TABLES
    }
