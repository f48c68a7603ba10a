"""What `tools.migrate` makes of an empty installation: once in a run, and copied from then on.

Nothing of it depends on the settings. Those that are refused have tests of their own.
"""

import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.support.postgres_server import PostgresServer
from wire import environment


def migrate(environ: Mapping[str, str]) -> None:
    """Bring the installation that `environ` names up to date."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.migrate"],
        cwd=environment.ROOT,
        env=dict(environ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Prepared:
    """A folder for STORAGE_DIR, and a database where the tests run on PostgreSQL."""

    shared: ClassVar[Path | None] = None
    """A folder of all processes of a run, for what they have in common."""

    _only: ClassVar["Prepared | None"] = None

    @classmethod
    def once(cls, environ: Mapping[str, str]) -> "Prepared":
        """The one of this process, made with the first `environ`."""
        cls._only = cls._only or cls(environ)
        return cls._only

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="faces-prepared-")
        self._server = PostgresServer.current
        # A PostgreSQL is of its process alone, and what is migrated to it too.
        share = self.shared if self.shared and not self._server else Path(self._own.name)
        self._storage = share / "prepared"
        self._database_url = self._server.create_database() if self._server else ""
        with open(share / "prepared.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._storage.exists():
                self._make({**environ, "DATABASE_URL": self._database_url})

    def _make(self, environ: Mapping[str, str]) -> None:
        unfinished = self._storage.with_suffix(".unfinished")
        migrate({**environ, "STORAGE_DIR": str(unfinished)})
        unfinished.rename(self._storage)

    def fill(self, storage: Path) -> None:
        """Fill the empty folder, also with a database where the tests run on SQLite."""
        shutil.copytree(self._storage, storage, dirs_exist_ok=True)

    def copy_sqlite(self, path: Path) -> None:
        """Copy SQLite's database alone."""
        shutil.copy(self._storage / "db.sqlite3", path)

    def database_url(self) -> str:
        """The address of a new database; empty for that in the folder."""
        return self._server.create_database(self._database_url) if self._server else ""
