"""Migrations and static files, before the backend starts: `python -m tools.migrate`.

One at a time in one storage folder, and in one PostgreSQL: two containers that migrate the same
database at once would both create the same tables, and one of them would fail.
"""

import fcntl
import gc
import io
import os
import time
from pathlib import Path
from typing import Final

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from faceengine import processor
from wire import environment, file_access, redis_url

_LOCK: Final = 0x66616365
"""Any number that no other lock of this database has."""

_REDIS_START_S: Final = 30.0

_ABANDONED_S: Final = 24 * 3600
"""No upload takes so long: its process died and left the file behind."""


def main() -> None:
    """Bring the database and the static files up to date."""
    processor.require()
    # The database is made here; other users of this machine must not read it.
    os.umask(0o027)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    environment.load()
    _wait_for_password(os.environ["CACHE_BACKEND_URL"])
    gc.disable()  # while loading; `backend.common.apps` has it on again
    django.setup()
    _check_settings()
    file_access.require(settings.STORAGE_DIR)
    file_access.share_with_owner_alone(settings.MEDIA_ROOT)
    run = settings.STORAGE_DIR / "run"
    run.mkdir(parents=True, exist_ok=True)
    with open(run / "prepare.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare_upload_folder(run / "uploads")
        _migrate()
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        if apps.is_installed("django.contrib.staticfiles"):
            call_command("collectstatic", interactive=False, verbosity=0)


def _wait_for_password(url: str) -> None:
    """In Docker, for the first start of the Redis container, which makes its password."""
    file, deadline = redis_url.password_file(url), time.monotonic() + _REDIS_START_S
    while file is not None and not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def _check_settings() -> None:
    """End with the findings where a setting is unsafe; the backend starts after this succeeded."""
    try:
        call_command("check", stdout=io.StringIO())
    except SystemCheckError as error:
        raise SystemExit(f"Faces cannot go on: {error}") from None


def prepare_upload_folder(folder: Path) -> None:
    """Make the folder for uploads while they are read; delete files that were left in it."""
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        if file.stat().st_mtime < time.time() - _ABANDONED_S:
            file.unlink(missing_ok=True)


def _migrate() -> None:
    if connection.vendor != "postgresql":
        call_command("migrate", interactive=False)
        return
    with connection.cursor() as cursor:
        # Of the session, and so let go of when this process ends, however it ends.
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        call_command("migrate", interactive=False)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


if __name__ == "__main__":
    main()
