"""`manage.py cluster_people`: cluster all unknown faces again, or delete all groups."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from tqdm import tqdm

from backend.clients.audit import audit
from backend.common.commands import ServiceCommand
from backend.photos.clustering import curation
from backend.photos.clustering.recluster import Busy, recluster
from backend.photos.models import UnknownFace


class Command(ServiceCommand):
    help = (
        "Cluster the faces that match no member again. Groups that were named, merged, split,"
        " hidden or claimed stay. Faces may be added and deleted meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only report what would change")
        parser.add_argument(
            "--forget", action="store_true", help="delete all groups, their names and claims"
        )

    def handle(self, *args: Any, dry_run: bool, forget: bool, **options: Any) -> None:
        if forget:
            count = UnknownFace.objects.count() if dry_run else curation.delete_all()
            if not dry_run:
                audit("manage.py", "forget people", f"{count} faces")
            verb = "Would delete" if dry_run else "Deleted"
            self.stdout.write(f"{verb} the groups of {count} faces.")
            return
        if not settings.FACES_GROUP_UNKNOWN:
            raise CommandError("FACES_GROUP_UNKNOWN is off: faces are not grouped.")
        self._cluster(dry_run)

    def _cluster(self, dry_run: bool) -> None:
        with tqdm(total=UnknownFace.objects.count(), unit=" faces", file=self.stderr) as progress:
            try:
                change = recluster(dry_run=dry_run, on_progress=progress.update)
            except Busy:
                raise CommandError("A worker is clustering faces now. Try again soon.") from None
        verb = "would move" if dry_run else "moved"
        self.stdout.write(
            f"{change.faces} faces, {change.groups_before} groups before and"
            f" {change.groups_after} after: {verb} {change.moved} faces."
        )
