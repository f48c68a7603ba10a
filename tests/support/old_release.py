"""A database and media folder as release 0.1.0 left them, for tests of upgrades.

The rows are in `tests/e2e/upgrade/0.1.0.json`: table by table, bytes as `{"hex": …}`, as that
release wrote them to SQLite for drawn faces (docs/pictures/people.jpg). The release's own
migrations make the tables; the triggers that it added on SQLite beside its migrations are in the
dump too.
"""

import io
import json
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from PIL import Image
from psycopg import sql

from wire.environment import ROOT

_DUMP: Final = ROOT / "tests" / "e2e" / "upgrade" / "0.1.0.json"
PICTURE: Final = ROOT / "docs" / "pictures" / "people.jpg"

_MIGRATE: Final = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
MigrationExecutor(connection).migrate({targets!r})
"""

Row = Mapping[str, Any]


@cache
def dump() -> dict[str, Any]:
    """What the file holds: keys, ids, hashes, migrations, media and rows."""
    read: dict[str, Any] = json.loads(_DUMP.read_text())
    return read


def restore(storage: Path, database_url: str, environ: Mapping[str, str]) -> None:
    """Make the old tables with their rows, in `storage` or at `database_url`, and the old files."""
    targets = sorted(dump()["migrations"].items())
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", _MIGRATE.format(targets=targets)],
        cwd=ROOT,
        env={**environ},
        check=True,
        capture_output=True,
    )
    if database_url:
        _fill_postgresql(database_url)
    else:
        _fill_sqlite(storage / "db.sqlite3")
    _write_files(storage / "media")


def _fill_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for table, rows in dump()["rows"].items():
            for row in rows:
                names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
                values = [_bytes(value) for value in row.values()]
                database.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', values)
        for statement in dump()["sqlite_only"]:
            database.execute(statement)


def _fill_postgresql(url: str) -> None:
    with psycopg.connect(url) as database:
        database.execute("SET TIME ZONE 'UTC'")
        database.execute("SET CONSTRAINTS ALL DEFERRED")
        for table, rows in dump()["rows"].items():
            types = _types(database, table)
            for row in rows:
                insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(sql.Placeholder() * len(row)),
                )
                values = [_for_postgresql(value, types[name]) for name, value in row.items()]
                database.execute(insert, values)
            if types.get("id") == "int8":
                _continue_ids(database, table)


def _types(database: psycopg.Connection[Any], table: str) -> dict[str, str]:
    columns = "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = %s"
    return dict(database.execute(columns, [table]).fetchall())


def _continue_ids(database: psycopg.Connection[Any], table: str) -> None:
    """Ids that the next rows get: behind those of the dump."""
    database.execute(
        sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}").format(
            sql.Literal(table), sql.Identifier(table)
        )
    )


def _for_postgresql(value: Any, type: str) -> Any:
    if type == "bool":
        return bool(value)
    if type == "uuid":
        return value and uuid.UUID(value)
    if type == "vector" and value is not None:
        return str(np.frombuffer(_bytes(value), "<f4").tolist())
    return _bytes(value)


def _bytes(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def _write_files(media: Path) -> None:
    """Each file of the old media folder, with the drawn people or a blue patch in it."""
    patch = io.BytesIO()
    Image.new("RGB", (64, 48), (20, 90, 200)).save(patch, "PNG")
    for name in dump()["media"]:
        path = media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(patch.getvalue() if path.suffix == ".png" else PICTURE.read_bytes())
