"""The cast of this app: Alice and Bob are members, Zoe is staff; an album, photos, references."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from PIL import ExifTags, Image

from backend.photos import tasks
from backend.photos.albums import archive_import, service
from backend.photos.members import consent, references
from backend.photos.models import Album, ArchiveUpload, Member, Photo, Reference
from tests.support import image_factories


def user(name: str = "alice") -> User:
    return User.objects.get_or_create(username=name)[0]


def member(name: str = "alice") -> Member:
    return consent.member_of(user(name))


def staff() -> User:
    """Zoe, who may do everything."""
    defaults = {"is_staff": True, "is_superuser": True}
    return User.objects.get_or_create(username="zoe", defaults=defaults)[0]


def album(title: str = "Summer", *, day: date = date(2026, 7, 1)) -> Album:
    return service.create_album(title, date=day)


def photo(album: Album, image: bytes, name: str = "photo.jpg") -> Photo:
    """Taken in; no worker has seen it."""
    return service.add_photo(album, ContentFile(image, name), name=name)


def reference(member: Member, image: bytes, name: str = "me.jpg") -> Reference:
    """As `photo`."""
    return references.add(member, ContentFile(image, name), name=name)


def archive(album: Album, content: bytes, name: str = "album.zip") -> ArchiveUpload:
    """As `photo`."""
    return archive_import.accept(album, ContentFile(content, name), by=None)


def processed(source: Any) -> Any:
    """The row after a worker had it once."""
    tasks_of = {Photo: tasks.process_photo, Reference: tasks.process_reference}
    tasks_of.get(type(source), tasks.unpack)(str(source.pk))
    source.refresh_from_db()
    return source


@cache
def jpeg(text: str) -> bytes:
    """A small picture without a face, like no other text's."""
    return image_factories.encoded(image_factories.labelled(text, 64, 48))


@cache
def located(format: str = "JPEG", *, orientation: int = 6) -> bytes:
    """A picture on its side, 60 by 40 pixels upright, that tells where and when it was taken."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = "Somebody"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:01 12:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 5.0, 0.0), 3: "E"})
    return image_factories.encoded(image_factories.faceless(40, 60), format, exif=exif)


def zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return written.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as file:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return written.getvalue()
