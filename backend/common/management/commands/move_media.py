"""`manage.py move_media`: all images from the disk into the bucket, or back."""

import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from backend.common import moving_media
from backend.common.moving_media import Moved
from backend.common.storage import base
from backend.common.storage.base import StorageError


class Command(BaseCommand):
    help = (
        "Copy all images from media/ into the bucket of FACES_S3_BUCKET, each compared with its "
        "copy. May be run again at any time: what is there already is only compared."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--back", action="store_true", help="from the bucket to media/")
        parser.add_argument(
            "--delete", action="store_true", help="delete each file where it came from, once copied"
        )

    def handle(self, *args: Any, back: bool, delete: bool, **options: Any) -> None:
        bucket, disk = base.bucket(), FileSystemStorage()
        if bucket is None:
            raise CommandError("FACES_S3_BUCKET names no bucket.")
        names = [name for name, _ in bucket.walk("")] if back else self._on_disk()
        source, target = (default_storage, disk) if back else (disk, default_storage)
        counts = Counter[Moved]()
        try:
            for name in tqdm(names, unit="file", disable=not sys.stderr.isatty()):
                moved = moving_media.move(name, source, target, delete=delete)
                counts[moved] += 1
                if moved is Moved.DIFFERENT:
                    self.stderr.write(f"{name}: another file has this name; neither was touched.")
        except StorageError as error:
            raise CommandError(f"{error} Run this again later.") from error
        finally:
            told = ", ".join(f"{counts[each]} {each}" for each in Moved if counts[each])
            self.stdout.write(f"{told or 'no files'}.")
        if counts[Moved.DIFFERENT]:
            raise CommandError("Not everything was moved.")

    def _on_disk(self) -> list[str]:
        return list(moving_media.names_on_disk(settings.MEDIA_ROOT))
