"""`manage.py dataminimisation`: erase data that is no longer needed. Run it daily."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.files.storage import default_storage
from tqdm import tqdm

from backend.analysis import services as analysis
from backend.common.commands import ServiceCommand
from backend.photos.files import storage
from backend.photos.members import retention


class Command(ServiceCommand):
    help = (
        f"Erase references that were marked for deletion {retention.KEPT_AFTER_MARK.days} days "
        f"ago, or whose member has not logged in for {retention.KEPT_WITHOUT_LOGIN.days}; then "
        "files and analyses without a row, left by a crash. Run it daily."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only report")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        done = "Would erase" if dry_run else "Erased"
        self.stdout.write(f"{done} {_references(dry_run)} references.")
        self.stdout.write(f"{done} {_analyses(dry_run)} analyses that nothing refers to.")
        self.stdout.write(f"{done} {_files(dry_run)} files that belong to nothing.")


def _references(dry_run: bool) -> int:
    total = retention.due().count()
    if dry_run:
        return total
    quiet = not sys.stderr.isatty()
    erased = tqdm(retention.erase_due(), total=total, unit="reference", disable=quiet)
    return sum(1 for _ in erased)


def _analyses(dry_run: bool) -> int:
    return analysis.unreferenced().count() if dry_run else analysis.delete_unreferenced()


def _files(dry_run: bool) -> int:
    count = 0
    for name in storage.orphaned_files():
        count += 1
        if not dry_run:
            default_storage.delete(name)
    return count
