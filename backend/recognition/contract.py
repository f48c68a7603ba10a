"""The face data structure: what callers send, made sure of, and what they get back.

The keys and their meanings are the contract's. What is none of ours is ignored, so that a structure
that came out of one call can be given to the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

INTEGERS: Final = range(-(1 << 63), 1 << 63)
"""What both databases can hold."""

URL_CHARACTERS: Final = 8192
NAME_CHARACTERS: Final = 200


class FaceShape(TypedDict, total=False):
    """A face data structure."""

    user_id: int
    contact_id: int
    face_id: int
    face_url: str
    external_id: int | None
    score: float
    id: int
    is_face: bool
    reason: str | None
    """Why it is in `error` or `not_found`; of an added one, what is worth knowing of its image."""
    recognition_confidence: float
    distance: float


class ChangesShape(TypedDict):
    """What every change answers: each face of the call is in exactly one of the lists."""

    added: list[FaceShape]
    deleted: list[FaceShape]
    not_found: list[FaceShape]
    error: list[FaceShape]


LISTS: Final = ("added", "deleted", "not_found", "error")


class Malformed(ValueError):
    """A structure that cannot be used; `field` is the argument or key that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def nothing() -> ChangesShape:
    return {"added": [], "deleted": [], "not_found": [], "error": []}


def integer(value: Any, field: str) -> int:
    """`value`, if it is an integer that can be stored. Raises `Malformed`."""
    # True is an int in Python, and nobody's number.
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(field, "A valid integer is required.")
    if value not in INTEGERS:
        raise Malformed(field, "Ensure this value fits 64 bits.")
    return value


def text(value: Any, field: str, *, at_most: int) -> str:
    """`value`, if it is a text that can be stored. Raises `Malformed`."""
    if not isinstance(value, str):
        raise Malformed(field, "Not a valid string.")
    if len(value) > at_most:
        raise Malformed(field, f"Ensure this field has no more than {at_most} characters.")
    # PostgreSQL has no zero byte in its texts, and half a surrogate is no character at all.
    if "\0" in value or _has_surrogate(value):
        raise Malformed(field, "This text holds characters that cannot be stored.")
    return value


def added(face: Any, *, user_id: int, contact_id: int) -> FaceShape:
    """A structure to be added: all that callers must provide. Raises `Malformed`."""
    found = named(face, user_id=user_id, contact_id=contact_id)
    if "score" not in found:
        raise Malformed("score", "This field is required.")
    if not found["face_url"] and face.get("image") is None:
        raise Malformed("face_url", "Give a URL here, or the bytes as image.")
    return found


def named(face: Any, *, user_id: int, contact_id: int) -> FaceShape:
    """A structure that names a face: its `face_id`, and what else was given. Raises `Malformed`."""
    if not isinstance(face, Mapping):
        raise Malformed("faces", "Each face is a dictionary.")
    for field, expected in (("user_id", user_id), ("contact_id", contact_id)):
        if face.get(field) is not None and integer(face[field], field) != expected:
            raise Malformed(field, f"This face is of another {field[:-3]} than the call.")
    found = FaceShape(
        user_id=user_id,
        contact_id=contact_id,
        face_id=_required(face, "face_id"),
        face_url=text(face.get("face_url") or "", "face_url", at_most=URL_CHARACTERS),
        external_id=None,
    )
    if face.get("external_id") is not None:
        found["external_id"] = integer(face["external_id"], "external_id")
    if face.get("score") is not None:
        found["score"] = _score(face["score"])
    return found


def faces(value: Any, *, at_most: int) -> Sequence[Any]:
    """The array of a call. Raises `Malformed` where it is none, or too long."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise Malformed("faces", "Expected a list of faces.")
    if len(value) > at_most:
        raise Malformed("faces", f"At most {at_most} faces a call.")
    return value


def _required(face: Mapping[str, Any], field: str) -> int:
    if face.get(field) is None:
        raise Malformed(field, "This field is required.")
    return integer(face[field], field)


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed("score", "A valid number is required.")
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise Malformed("score", "A finite number is required.")
    return score


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)
