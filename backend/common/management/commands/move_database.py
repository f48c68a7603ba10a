"""`manage.py move_database --to URL`: all rows from SQLite to a PostgreSQL, checked one by one."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import DatabaseError, connections
from tqdm import tqdm

from backend import databases
from backend.common.commands import ServiceCommand
from backend.common.migration import database

_TARGET: Final = "target"


class Command(ServiceCommand):
    help = (
        "Copy all rows from SQLite into an empty PostgreSQL, in one transaction, and compare both."
        " Stop the service first: backends, workers and all. Files stay where they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to",
            required=True,
            metavar="URL",
            help=f"{databases.FORM}; without the password, libpq takes it from PGPASSWORD",
        )

    def handle(self, *args: Any, to: str, **options: Any) -> None:
        if not databases.is_postgresql(to):
            raise CommandError(f"--to must be like {databases.FORM}")
        connections.settings[_TARGET] = connections.configure_settings(
            {"default": databases.postgresql(to)}
        )["default"]
        try:
            self._move()
        except database.NotMovable as error:
            raise CommandError(f"Nothing was moved. {error}") from error
        except DatabaseError as error:
            raise CommandError(f"Nothing was moved, a database says: {error}") from error
        finally:
            connections[_TARGET].close()
            del connections[_TARGET], connections.settings[_TARGET]

    def _move(self) -> None:
        database.refuse_unless_at_rest("default")
        # Each row is copied, and then read back.
        with tqdm(total=2 * database.count("default"), unit=" rows", file=self.stderr) as progress:
            sums = database.move("default", _TARGET, progress=progress.update)
        for model, sum in sums.items():
            self.stdout.write(f"{model._meta.db_table}: {sum}")
        self.stdout.write(
            "Both databases hold the same. Set DATABASE_URL to the new one and start the service;"
            " the old file is as it was."
        )
