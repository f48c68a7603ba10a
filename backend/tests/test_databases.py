"""What Django is told of the database."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from django.test import SimpleTestCase

from backend import databases

FILE = Path("a", "db.sqlite3")


class DatabaseTests(SimpleTestCase):
    def test_without_an_address_it_is_sqlite_that_waits_for_its_turn_to_write(self) -> None:
        found = databases.configuration("", sqlite=FILE)
        self.assertEqual((found["ENGINE"], found["NAME"]), ("django.db.backends.sqlite3", FILE))
        self.assertEqual(found["OPTIONS"]["transaction_mode"], "IMMEDIATE")

    def test_what_is_deleted_in_sqlite_is_written_over(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "db.sqlite3"
            command = databases.configuration("", sqlite=file)["OPTIONS"]["init_command"]
            with closing(sqlite3.connect(file)) as database:
                database.executescript(command)
                database.execute("CREATE TABLE face (encoding BLOB)")
                database.executemany("INSERT INTO face VALUES (?)", [(b"secret" * 99,)] * 99)
                database.commit()
                database.execute("DELETE FROM face")
                database.commit()
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.assertNotIn(b"secret", file.read_bytes())

    def test_an_address_is_taken_apart_and_its_options_count(self) -> None:
        url = "postgres://ann:p%40ss@db.example:5433/faces?sslmode=require&connect_timeout=9"
        found = databases.configuration(url, sqlite=FILE)
        names = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
        self.assertEqual(
            tuple(found[name] for name in names),
            ("django.db.backends.postgresql", "faces", "ann", "p@ss", "db.example", 5433),
        )
        self.assertEqual(found["OPTIONS"]["sslmode"], "require")
        self.assertEqual(found["OPTIONS"]["connect_timeout"], 9)

    def test_a_kept_connection_is_looked_at_before_it_is_used_again(self) -> None:
        found = databases.configuration("postgres://ann@db/faces", sqlite=FILE)
        self.assertTrue(found["CONN_MAX_AGE"] and found["CONN_HEALTH_CHECKS"])
