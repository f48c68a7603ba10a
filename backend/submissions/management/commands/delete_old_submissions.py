"""`manage.py delete_old_submissions`: keep no picture longer than it is needed."""

import sys
from argparse import ArgumentParser
from itertools import chain
from typing import Any

import redis
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management.base import CommandError
from tqdm import tqdm

from backend.analysis import services as analysis
from backend.common.commands import ServiceCommand
from backend.submissions import retention, services


class Command(ServiceCommand):
    help = (
        "Delete submissions older than FACES_RETENTION_DAYS with their files and events, then "
        "analyses that nothing refers to and files that belong to nothing. Run it daily."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=settings.FACES_RETENTION_DAYS,
            help="delete what is older (default: FACES_RETENTION_DAYS; 0: delete none)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only report")

    def handle(self, *args: Any, days: int, dry_run: bool, **options: Any) -> None:
        if days < 0:
            raise CommandError("--days must not be negative")
        done = "Would delete" if dry_run else "Deleted"
        try:
            self.stdout.write(f"{done} {_submissions(days, dry_run)} submissions.")
        except redis.RedisError as error:
            raise CommandError(
                f"Redis is out of reach, so events cannot be deleted; run this again later: {error}"
            ) from error
        self.stdout.write(f"{done} {_analyses(dry_run)} analyses that nothing refers to.")
        self.stdout.write(f"{done} {_files(dry_run)} files that belong to nothing.")


def _submissions(days: int, dry_run: bool) -> int:
    if not days:
        return 0
    old = retention.older_than(days)
    total = old.count()
    if not dry_run:
        # Ids first: a cursor over rows that are being deleted would not end well.
        ids = list(old.values_list("pk", flat=True))
        for id in tqdm(ids, unit="submission", disable=not sys.stderr.isatty()):
            for submission in old.filter(pk=id):
                services.erase(submission)
    return total


def _analyses(dry_run: bool) -> int:
    return analysis.unreferenced().count() if dry_run else analysis.delete_unreferenced()


def _files(dry_run: bool) -> int:
    count = 0
    for name in chain(retention.stray_files(), analysis.stray_sources()):
        count += 1
        if not dry_run:
            default_storage.delete(name)
    return count
