"""The cast of this app: Alice and Bob are members, Zoe is staff; an album, photos and references."""

from datetime import date

from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from backend.photos import services
from backend.photos.models import Album, Member, Photo, Reference


def user(name: str = "alice", *, is_staff: bool = False) -> User:
    return User.objects.get_or_create(username=name, defaults={"is_staff": is_staff})[0]


def member(name: str = "alice") -> Member:
    return services.member_of(user(name))


def album(title: str = "Summer", *, day: date = date(2026, 7, 1)) -> Album:
    return services.create_album(title, date=day)


def photo(album: Album, image: bytes, name: str = "photo.jpg") -> Photo:
    """Taken in; no worker has seen it."""
    return services.add_photo(album, ContentFile(image, name), name=name)


def reference(member: Member, image: bytes, name: str = "me.jpg") -> Reference:
    """As `photo`."""
    return services.add_reference(member, ContentFile(image, name), name=name)
