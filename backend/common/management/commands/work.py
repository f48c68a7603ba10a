"""`manage.py work`: the workers and the sweep, until SIGTERM or Ctrl-C."""

import os
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from backend.common.commands import ServiceCommand
from wire import file_access


class Command(ServiceCommand):
    help = "Run the workers and the sweep until SIGTERM or Ctrl-C; running jobs are finished."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.FACES_WORKERS,
            help="worker processes (default: FACES_WORKERS; 0: one for each core)",
        )

    def handle(self, *args: Any, workers: int, **options: Any) -> None:
        # Other commands need not load the worker.
        from backend.common.jobs import worker_pool

        file_access.require(settings.STORAGE_DIR)
        while not _migrated():
            self.stderr.write("waiting for the database to be migrated")
            time.sleep(1)
        worker_pool.run(workers or len(os.sched_getaffinity(0)))


def _migrated() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return False
    finally:
        connection.close()
