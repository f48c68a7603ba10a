"""The two databases that the service can live on, as Django wants them described."""

from pathlib import Path
from typing import Any, Final

import environ
from django.core.exceptions import ImproperlyConfigured

FORM: Final = "postgres://user:password@host:port/database"

Database = dict[str, Any]


def configuration(url: str, *, sqlite: Path) -> Database:
    """PostgreSQL at `url`; where that is empty, SQLite in the file `sqlite`."""
    return postgresql(url) if url else _sqlite(sqlite)


def is_postgresql(url: str) -> bool:
    """Whether `url` names a database of a PostgreSQL."""
    try:
        postgresql(url)
    except ImproperlyConfigured:
        return False
    return True


def _sqlite(file: Path) -> Database:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        # A connection for each thread, kept between requests: opening the file and setting it up
        # takes longer than most requests need it.
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            # A transaction that reads first and writes later would fail at once when another writer
            # came between; IMMEDIATE takes the write lock at its start and waits its turn instead.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # WAL: readers do not wait for the writer. NORMAL loses no commit when a process dies.
            # Secure: what is deleted is written over, and not only marked as free. Debian's SQLite
            # does so by itself, others do not.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            " PRAGMA secure_delete=ON;",
        },
    }


def postgresql(url: str) -> Database:
    """PostgreSQL at `url`. Raises `ImproperlyConfigured` if that is no address of one."""
    try:
        found: Database = environ.Env.db_url_config(url)
    except (ValueError, TypeError):  # a port that is no number, brackets that do not close
        found = {}
    if found.get("ENGINE") != "django.db.backends.postgresql" or not found.get("NAME"):
        raise ImproperlyConfigured(f"the database is no address like {FORM}")
    return {
        **found,
        # A connection for each thread, kept between requests; one that broke meanwhile is replaced.
        # No pool: its threads do not live on in the forks that jobs run in.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # A host that does not answer must not hold a request for minutes.
            "connect_timeout": 5,
            "keepalives_idle": 30,
            "application_name": "faces",
            **found.get("OPTIONS", {}),
        },
    }
