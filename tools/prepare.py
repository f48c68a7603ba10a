"""What has to be done before the backend starts: `python -m tools.prepare`.

One at a time in one storage folder: two containers that migrate the same database at once would
both create the same tables, and one of them would fail.
"""

import fcntl
import os

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command


def main() -> None:
    """Bring the database and the static files up to date."""
    # The database is made here, and nobody else on this machine is to read it.
    os.umask(0o027)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    django.setup()
    run = settings.STORAGE_DIR / "run"
    run.mkdir(parents=True, exist_ok=True)
    with open(run / "prepare.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        call_command("migrate", interactive=False)
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        if apps.is_installed("django.contrib.staticfiles"):
            call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    main()
