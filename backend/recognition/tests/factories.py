"""Galleries of generated faces for tests: distances as of dlib's model, without images."""

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

from backend.analysis.services import DLIB
from backend.clients.models import ANONYMOUS_ID
from backend.recognition.models import Contact, Face, User

MODEL = DLIB

Encodings = NDArray[numpy.float32]

_random = numpy.random.default_rng(6)


def person(numbers: int = 128) -> Encodings:
    """A person's encoding: two of them are about 0.8 apart."""
    spread = 0.05 * math.sqrt(128 / numbers)
    return (0.07 + spread * _random.normal(size=numbers)).astype("f4")


def near(encoding: Encodings, distance: float) -> Encodings:
    """An encoding that far from another, in any direction."""
    direction = _random.normal(size=len(encoding))
    return (encoding + distance * direction / numpy.linalg.norm(direction)).astype("f4")


def user(number: int = 1, *, owner_id: int = ANONYMOUS_ID) -> User:
    made, _ = User.objects.get_or_create(
        owner_id=owner_id, user_id=number, defaults={"exists": True}
    )
    return made


def add(
    to: User, contact_id: int, encodings: Sequence[Encodings], *, model: str = MODEL
) -> list[Face]:
    """Add faces to a contact as a command does: the gallery gets a new version."""
    contact, _ = Contact.objects.get_or_create(user=to, contact_id=contact_id)
    first = Face.objects.count()
    rows = [
        Face(
            contact=contact,
            user=to,
            face_id=first + number,
            face_url=f"https://images.example/{first + number}.jpg",
            score=1.0,
            is_face=True,
            encoding=encoding,
            model=model,
            sha256=f"{first + number:064x}",
            is_indexed=True,
        )
        for number, encoding in enumerate(encodings)
    ]
    moved(to)
    return Face.objects.bulk_create(rows)


def moved(to: User) -> None:
    to.gallery_version += 1
    to.save(update_fields=["gallery_version"])
