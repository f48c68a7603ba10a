"""`manage.py import_album FILE`: import an archive from the server's disk."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.core.files.base import File
from django.core.management.base import CommandError
from tqdm import tqdm

from backend.analysis import services as analysis
from backend.common.commands import ServiceCommand
from backend.common.jobs.models import Status
from backend.photos.albums import archive_import, service
from backend.photos.files import storage
from backend.photos.models import Album, ArchiveUpload

_LOOK_S: Final = 0.5


class Command(ServiceCommand):
    help = (
        "Import a folder, or a zip, tar or tar.gz, into an album, and show the workers' progress."
        " If interrupted, the workers continue; started again, no photo is imported twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--album", type=int, help="number of the album (default: a new one)")
        parser.add_argument("--title", help="title of a new album (default: the file's name)")
        parser.add_argument(
            "--date", type=date.fromisoformat, default=date.today(), help="date of a new album"
        )
        parser.add_argument(
            "--detector",
            default="",
            choices=analysis.available_detectors(),
            help="detector of the photos' faces (default: the service's)",
        )
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the workers")

    def handle(self, *args: Any, file: Path, no_wait: bool, **options: Any) -> None:
        if file.is_dir():
            self._import_folder(file, options)
            return
        try:
            with file.open("rb") as archive:
                upload = _accepted(File(archive, name=file.name), options)
        except (OSError, storage.UploadRejected) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Album {upload.album_id}, upload {upload.pk}.")
        if not no_wait:
            self._wait(upload)

    def _import_folder(self, folder: Path, options: dict[str, Any]) -> None:
        """The files of a folder and of those in it; hidden ones and links are not read."""
        album = _album(options, default=folder.resolve().name)
        taken = skipped = 0
        for path in tqdm(_files(folder), unit=" files", file=self.stderr):
            name = str(path.relative_to(folder))
            with path.open("rb") as file:
                report = service.add_photos(
                    album, [File(file, name=path.name)], detector=options["detector"]
                )
            taken += len(report.added)
            skipped += len(report.skipped)
            for each in report.skipped:
                self.stdout.write(f"skipped {name}: {each.reason}")
        if not taken and options["album"] is None:
            service.erase_album(album)
            raise CommandError(f"There is no photo in {folder}.")
        self.stdout.write(f"Album {album.pk}: {taken} photos, {skipped} files skipped.")

    def _wait(self, upload: ArchiveUpload) -> None:
        with tqdm(unit=" files", file=self.stderr) as progress:
            while upload.status in (Status.QUEUED, Status.PROCESSING):
                time.sleep(_LOOK_S)
                upload.refresh_from_db()
                progress.total = upload.entries_count or None
                progress.update(upload.entries_seen - progress.n)
        for line in upload.report:
            self.stdout.write(f"skipped {line['name']}: {line['reason']}")
        self.stdout.write(f"{upload.photos_added} photos, {upload.skipped} files skipped.")
        if upload.status == Status.FAILED:
            raise CommandError(upload.reason)


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _accepted(archive: File[Any], options: dict[str, Any]) -> ArchiveUpload:
    """The upload of `archive`. No transaction is open while a large one is copied."""
    album = _album(options, default=(archive.name or "").partition(".")[0])
    try:
        return archive_import.accept(album, archive, by=None, detector=options["detector"])
    except BaseException:  # a rejected archive leaves no empty album
        if options["album"] is None:
            service.erase_album(album)
        raise


def _album(options: dict[str, Any], *, default: str) -> Album:
    if options["album"] is None:
        return service.create_album(options["title"] or default, date=options["date"])
    if album := Album.objects.filter(pk=options["album"]).first():
        return album
    raise CommandError(f"There is no album {options['album']}.")
