"""A PostgreSQL as its administrators make it: its roles may do little."""

import os
import subprocess
import sys
import tempfile
import unittest
from typing import ClassVar

import psycopg

from tests.support import samples
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Stack, wait_until
from wire.environment import ROOT


class MigrationTests(unittest.TestCase):
    server: ClassVar[PostgresServer]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = cls.enterClassContext(PostgresServer())
        with psycopg.connect(cls.server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE plain LOGIN")

    def setUp(self) -> None:
        self.admin = self.server.create_database()
        self.url = self.admin.replace("//faces@", "//plain@")
        with psycopg.connect(self.admin) as connection:
            connection.execute("GRANT ALL ON SCHEMA public TO plain")

    def migrate(self) -> list[subprocess.Popen[str]]:
        """Two at once, as two backends would."""
        storage = self.enterContext(tempfile.TemporaryDirectory())
        # A folder each: what keeps them apart is the database.
        return [
            subprocess.Popen(
                [sys.executable, "-m", "tools.migrate"],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": self.url, "STORAGE_DIR": f"{storage}/{number}"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]

    def test_a_role_that_may_not_create_extensions_uses_the_one_that_is_there(self) -> None:
        with psycopg.connect(self.admin) as connection:
            connection.execute("CREATE EXTENSION vector")
        for process in self.migrate():
            _, errors = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, errors)
        with psycopg.connect(self.url) as connection:
            clients = connection.execute("SELECT id, name FROM clients_client").fetchall()
        self.assertEqual(clients, [(1, "anonymous")])

    def test_without_the_extension_the_error_names_the_administrators_command(self) -> None:
        for process in self.migrate():
            _, errors = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 1)
            self.assertIn("Let an administrator of the database run: CREATE EXTENSION", errors)


class RestartTests(unittest.TestCase):
    def test_all_processes_reconnect_to_a_restarted_postgresql(self) -> None:
        server = self.enterContext(PostgresServer())
        stack = self.enterContext(Stack(settings={"DATABASE_URL": server.create_database()}))
        before = stack.upload(samples.no_face())
        stack.wait_ended([before])
        server.stop()
        self.assertEqual(stack.get("/readiness/").status_code, 503)
        server.start()
        wait_until(lambda: stack.get("/readiness/").status_code == 200, "it is ready again")
        # Each thread had a connection of its own.
        self.assertEqual({stack.get(f"/image/{before}/").status_code for _ in range(30)}, {200})
        stack.wait_ended([stack.upload(samples.face())])
