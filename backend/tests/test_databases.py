"""What Django is told of the database."""

from pathlib import Path

from django.test import SimpleTestCase

from backend import databases

FILE = Path("a", "db.sqlite3")


class DatabaseTests(SimpleTestCase):
    def test_without_an_address_it_is_sqlite_that_waits_for_its_turn_to_write(self) -> None:
        found = databases.configuration("", sqlite=FILE)
        self.assertEqual((found["ENGINE"], found["NAME"]), ("django.db.backends.sqlite3", FILE))
        self.assertEqual(found["OPTIONS"]["transaction_mode"], "IMMEDIATE")

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
