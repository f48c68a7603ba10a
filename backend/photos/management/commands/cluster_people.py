"""`manage.py cluster_people`: groups all unknown faces anew, or forgets all groups."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.photos.clustering import curation
from backend.photos.clustering.recluster import Busy, recluster
from backend.photos.models import UnknownFace


class Command(BaseCommand):
    help = (
        "Group the faces of people who are no members anew. What was named, merged, split, hidden"
        " or claimed stays. Faces may come and go meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell what would change")
        parser.add_argument(
            "--forget", action="store_true", help="erase all groups, their names and claims"
        )

    def handle(self, *args: Any, dry_run: bool, forget: bool, **options: Any) -> None:
        if forget:
            count = UnknownFace.objects.count() if dry_run else curation.delete_all()
            verb = "Would forget" if dry_run else "Forgot"
            self.stdout.write(f"{verb} the groups of {count} faces.")
            return
        if not settings.FACES_GROUP_UNKNOWN:
            raise CommandError("FACES_GROUP_UNKNOWN is off: nobody is to be grouped.")
        self._cluster(dry_run)

    def _cluster(self, dry_run: bool) -> None:
        with tqdm(total=UnknownFace.objects.count(), unit=" faces", file=self.stderr) as progress:
            try:
                change = recluster(dry_run=dry_run, on_progress=progress.update)
            except Busy:
                raise CommandError("Faces are being placed just now. Try again soon.") from None
        verb = "would move" if dry_run else "moved"
        self.stdout.write(
            f"{change.faces} faces, {change.groups_before} groups before and"
            f" {change.groups_after} after: {verb} {change.moved} faces."
        )
