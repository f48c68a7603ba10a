"""What clients send here, and what encodings look like to them."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from rest_framework.exceptions import APIException, UnsupportedMediaType, ValidationError
from rest_framework.request import Request

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError, FoundFace
from backend.common.http.errors import TooLarge
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.statistics import Statistics

Body = dict[str, Any]

NO_IMAGE: Final = "No image sent!"
NO_FACES: Final = "No faces found!"
NOT_FOUND: Final = "No face encoding found!"
ONE_AT_A_TIME: Final = "Send one image at a time, or several to /face_encodings/batch."
NOT_YET: Final = "The image is still being processed. The encoding will be at face_encoding_url."

FIELD: Final = "upload_file"

SIDES: Final = (1, 2)
KINDS: Final = ("image", "hash", "encoding")

_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIMENSIONS: Final = 128

_LARGEST: Final = 1000.0
"""Encodings have about the length 1; of numbers without a bound the distance is none."""


class Unusable(APIException):
    """The request is understood and nothing can be made of the image: 422 and a `message`."""

    status_code = 422

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__()
        self.body: Body = {"message": message, **more}
        self.detail = self.body


def upload(request: Request) -> File[Any]:
    """The one file of the request."""
    files = uploads(request)
    if len(files) > 1:
        raise Unusable(ONE_AT_A_TIME)
    return files[0]


def uploads(request: Request) -> list[File[Any]]:
    """All its files, at least one."""
    try:
        files: list[File[Any]] = request.FILES.getlist(FIELD)
    except UnsupportedMediaType:  # a body, but no form that could have a file in it
        files = []
    if not files:
        raise Unusable(NO_IMAGE)
    return files


def check(file: File[Any], **more: Any) -> None:
    """Raise `Unusable`, with `more` beside its message, for what is not an image we can take."""
    if (file.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
    try:
        analysis.check_image(file)  # type: ignore[arg-type]  # it reads and seeks, as files do
    except AnalysisError as error:
        raise Unusable(str(error), **more) from error


def hash_of(text: str) -> str:
    """A hash as we write it; what is none is "", and so nobody's."""
    found = text.strip().lower()
    # PostgreSQL could not even be asked for some of it: no text there holds a zero byte.
    return found if _HASH.fullmatch(found) else ""


def encoding(value: Any) -> list[float]:
    """128 numbers, also as the text of a JSON list; `ValueError` for anything else."""
    numbers = json.loads(value) if isinstance(value, str) else value
    if not isinstance(numbers, list) or len(numbers) != _DIMENSIONS:
        raise ValueError
    if not all(type(number) in (int, float) and abs(number) <= _LARGEST for number in numbers):
        raise ValueError
    return [float(number) for number in numbers]


def side(request: Request, number: int) -> tuple[str, Any]:
    """What is sent as side 1 or 2: its kind, and the file, the hash or the encoding."""
    data = request.data if isinstance(request.data, dict) else {}
    fields = {kind: f"{kind}_{number}" for kind in KINDS}
    sent = [kind for kind, field in fields.items() if field in data]
    if len(sent) != 1:
        raise ValidationError({fields["image"]: [f"Send one of {', '.join(fields.values())}."]})
    (kind,) = sent
    return kind, _value(kind, fields[kind], data)


def _value(kind: str, field: str, data: Any) -> Any:
    values = data.getlist(field) if isinstance(data, QueryDict) else [data[field]]
    value = values[0] if len(values) == 1 else None
    if kind == "image" and isinstance(value, UploadedFile):
        return value
    if kind == "hash" and isinstance(value, str) and _HASH.fullmatch(hash_of(value)):
        return hash_of(value)
    try:
        if kind == "encoding":
            return encoding(value)
    except (ValueError, OverflowError, RecursionError):
        pass
    raise ValidationError({field: [_WANTED[kind]]})


_WANTED: Final = {
    "image": "Send one file.",
    "hash": "Send the SHA-256 of an image: 64 hexadecimal digits.",
    "encoding": "Send a list of 128 numbers, none beyond 1000.",
}


def as_answer(image: EncodedImage, faces: list[FoundFace]) -> Body:
    """The body of an image with at least one face."""
    several = "OK - Multiple faces. Returning first"
    return {
        "message": several if len(faces) > 1 else "OK",
        "file_hash": image.sha256,
        "face_encoding": faces[0].encoding,
        "faces": [vars(face) for face in faces],
    }


def as_pending(sha256: str) -> Body:
    """The body of an image that takes longer."""
    return {"message": NOT_YET, "file_hash": sha256, "face_encoding_url": url(sha256)}


def as_statistics(statistics: Statistics) -> Body:
    return {
        "number_of_images_processed": statistics.images,
        "average_face_encodings": [statistics.mean],
    }


def url(sha256: str) -> str:
    """Where the encoding of an image is."""
    return f"{settings.SERVICE_URL}/face_encoding/{sha256}"
