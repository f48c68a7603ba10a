"""Request and answer bodies of face encodings."""

from __future__ import annotations

import re
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, UnsupportedMediaType, ValidationError
from rest_framework.fields import empty
from rest_framework.request import Request

from backend.analysis import services as analysis
from backend.analysis.fields import DIMENSIONS, MOST_DIMENSIONS
from backend.analysis.serializers import (
    DetectorField,
    FaceEncodingField,
    FaceSerializer,
    ModelField,
    SmallestFaceField,
    UsedDetectorField,
    check_encoding,
)
from backend.analysis.services import AnalysisError, FoundFace
from backend.common import bounded_json
from backend.common.http.errors import TooLarge
from backend.common.http.service_url import service_url
from backend.common.openapi import ENCODING, BoxSerializer
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
_A_HASH: Final = "The SHA-256 of an image that was sent before."
_A_TEXT: Final = "An encoding, as the text of a JSON list."

_A_DETECTOR: Final = "Finds the faces; empty: the service's."

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
    """Raise `Unusable`, with `more` beside its message, for a file that is no usable image."""
    if (file.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
    try:
        analysis.check_image(file)  # type: ignore[arg-type]  # it reads and seeks, as files do
    except AnalysisError as error:
        raise Unusable(str(error), **more) from error


def hash_of(text: str) -> str:
    """A hash in lower case; "" for a text that is none."""
    found = text.strip().lower()
    # PostgreSQL could not even be asked for some of it: no text there holds a zero byte.
    return found if _HASH.fullmatch(found) else ""


@extend_schema_field({"type": "string", "pattern": "^[0-9a-f]{64}$"})
class Sha256Field(serializers.CharField):
    """The SHA-256 of an image's bytes."""


class _Single(serializers.Field[Any, Any, Any, Any]):
    """A field that a form holds twice is refused."""

    def get_value(self, dictionary: Any) -> Any:
        values = (
            dictionary.getlist(str(self.field_name)) if isinstance(dictionary, QueryDict) else []
        )
        return values if len(values) > 1 else dictionary.get(self.field_name, empty)


class ImageField(_Single, serializers.FileField):
    default_error_messages = dict.fromkeys(("invalid", "no_name"), "Send one file.")


class HashField(_Single, serializers.CharField):
    default_error_messages = {"invalid": "Send the SHA-256 of an image: 64 hexadecimal digits."}

    def to_internal_value(self, data: Any) -> str:
        found = hash_of(data) if isinstance(data, str) else ""
        return found or self.fail("invalid")


@extend_schema_field(ENCODING)
class EncodingField(_Single):
    """An encoding, also as the text of a JSON list."""

    default_error_messages = {"invalid": "Send a list of 128 numbers, none beyond 1000."}

    def to_internal_value(self, data: Any) -> list[float]:
        try:
            is_text = isinstance(data, str)
            numbers = bounded_json.loads(data, max_values=MOST_DIMENSIONS) if is_text else data
        except ValueError:
            numbers = None
        if not isinstance(numbers, list) or not DIMENSIONS <= len(numbers) <= MOST_DIMENSIONS:
            self.fail("invalid")
        if not all(type(number) in (int, float) and abs(number) <= _LARGEST for number in numbers):
            self.fail("invalid")
        return [float(number) for number in numbers]


@extend_schema_field(str)
class EncodingTextField(EncodingField):
    """In a form."""


def _one_a_side(*kinds: str) -> dict[str, Any]:
    one = [[{"required": [f"{kind}_{side}"]} for kind in kinds] for side in SIDES]
    return {"allOf": [{"oneOf": each} for each in one]}


_ALL: Final = "Compares every face of both sides; without it the first of each."


class SidesSerializer(serializers.Serializer[Any]):
    """Two sides, each an encoding, or the hash of an image that was sent before."""

    hash_1 = HashField(required=False, help_text=_A_HASH)
    encoding_1 = EncodingField(required=False)
    model_1 = ModelField(allow_blank=True)
    hash_2 = HashField(required=False, help_text=_A_HASH)
    encoding_2 = EncodingField(required=False)
    model_2 = ModelField(allow_blank=True)

    detector = DetectorField(help_text="Of the hashes: whose encodings are meant.")
    faces = serializers.ChoiceField(["all"], required=False, help_text=_ALL)

    constraints = _one_a_side("hash", "encoding")


class SidesFormSerializer(serializers.Serializer[Any]):
    """Two sides, each an image, a hash or an encoding. Validates JSON bodies as well."""

    image_1 = ImageField(required=False, allow_empty_file=True)
    hash_1 = HashField(required=False, help_text=_A_HASH)
    encoding_1 = EncodingTextField(required=False, help_text=_A_TEXT)
    model_1 = ModelField(allow_blank=True)
    image_2 = ImageField(required=False, allow_empty_file=True)
    hash_2 = HashField(required=False, help_text=_A_HASH)
    encoding_2 = EncodingTextField(required=False, help_text=_A_TEXT)
    model_2 = ModelField(allow_blank=True)

    detector = DetectorField(help_text=_A_DETECTOR)
    faces = serializers.ChoiceField(["all"], required=False, help_text=_ALL)

    constraints = _one_a_side(*KINDS)

    def validate(self, attrs: dict[str, Any]) -> dict[int, tuple[str, Any]]:
        """The kind and the value of each side; of an encoding its numbers and its model."""
        return {side: self._side(side, attrs) for side in SIDES}

    def _side(self, side: int, attrs: dict[str, Any]) -> tuple[str, Any]:
        fields = {f"{kind}_{side}": kind for kind in KINDS}
        sent = [field for field in fields if field in attrs]
        if len(sent) != 1:
            raise ValidationError({f"image_{side}": [f"Send one of {', '.join(fields)}."]})
        kind, value = fields[sent[0]], attrs[sent[0]]
        if kind == "encoding":
            model = attrs.get(f"model_{side}", "")
            check_encoding(value, model, field=sent[0])
            value = value, model or analysis.DLIB
        return kind, value


class ImageToEncodeSerializer(serializers.Serializer[Any]):
    upload_file = serializers.FileField(help_text="The image.")
    detector = DetectorField(help_text=_A_DETECTOR)


class ImagesToEncodeSerializer(serializers.Serializer[Any]):
    upload_file = serializers.ListField(child=serializers.FileField(), min_length=1)
    detector = DetectorField(help_text=_A_DETECTOR)


class EncodedSerializer(serializers.Serializer[Any]):
    """An image with at least one face."""

    message = serializers.CharField()
    file_hash = Sha256Field()
    face_encoding = FaceEncodingField(help_text="The first face's.")
    model = ModelField()
    detector = UsedDetectorField()
    smallest_face_px = SmallestFaceField()
    faces = FaceSerializer(many=True)


class PendingSerializer(serializers.Serializer[Any]):
    """An image that takes longer."""

    message = serializers.CharField()
    file_hash = Sha256Field()
    face_encoding_url = serializers.URLField()


class UnusableSerializer(serializers.Serializer[Any]):
    """The request is understood, and nothing can be made of the image."""

    message = serializers.CharField()
    file_hash = Sha256Field(required=False)
    detector = UsedDetectorField(required=False)
    smallest_face_px = SmallestFaceField(required=False)
    reason = serializers.CharField(required=False)
    side = serializers.ChoiceField(SIDES, required=False)


class BatchAnswerSerializer(serializers.Serializer[Any]):
    """The answer to the image alone, with its status."""

    status = serializers.ChoiceField([200, 202, 413, 422])
    message = serializers.CharField()
    file_hash = Sha256Field(required=False)
    detector = UsedDetectorField(required=False)
    smallest_face_px = SmallestFaceField(required=False)
    face_encoding = FaceEncodingField(required=False)
    model = ModelField()
    faces = FaceSerializer(many=True, required=False)
    face_encoding_url = serializers.URLField(required=False)


class BatchSerializer(serializers.Serializer[Any]):
    results = BatchAnswerSerializer(many=True)


class StatisticsSerializer(serializers.Serializer[Statistics]):
    number_of_images_processed = serializers.IntegerField(source="images", min_value=0)
    average_face_encodings = serializers.SerializerMethodField()

    @extend_schema_field({"type": "array", "items": ENCODING, "minItems": 1, "maxItems": 1})
    def get_average_face_encodings(self, statistics: Statistics) -> list[list[float]]:
        return [statistics.mean]


class FalseAcceptRateSerializer(serializers.Serializer[Any]):
    at_most = serializers.FloatField(allow_null=True)
    measured_at_threshold = serializers.FloatField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]


class PairSerializer(serializers.Serializer[Any]):
    """The two faces that the verdict is about, from 0."""

    face_1 = serializers.IntegerField(min_value=0)
    face_2 = serializers.IntegerField(min_value=0)


@extend_schema_field(
    {
        "type": "array",
        "items": {"oneOf": [{"$ref": "#/components/schemas/Box"}, {"type": "null"}]},
    }
)
class BoxesField(serializers.ListField):
    """Boxes of one side; null in the place of an encoding, which has none."""

    child = BoxSerializer(allow_null=True)


class VerdictSerializer(serializers.Serializer[Any]):
    distance = serializers.FloatField(min_value=0, help_text="Euclidean.")
    same_person = serializers.BooleanField(
        allow_null=True, help_text="Null of a model without thresholds: nothing is guessed."
    )
    threshold = serializers.FloatField(allow_null=True)
    false_accept_rate = FalseAcceptRateSerializer()
    faces_1 = BoxesField(
        required=False,
        help_text="With `faces=all`: the boxes of the first side; null of an encoding.",
    )
    faces_2 = BoxesField(required=False)
    distances = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(min_value=0)),
        required=False,
        help_text="A row for each face of the first side, a column for each of the second.",
    )
    pair = PairSerializer(required=False)


def as_answer(image: EncodedImage, faces: list[FoundFace]) -> Body:
    several = "OK - Multiple faces. Returning first"
    return EncodedSerializer(
        {
            "message": several if len(faces) > 1 else "OK",
            **searched(image),
            "face_encoding": faces[0].encoding,
            **({"model": faces[0].model} if faces[0].model else {}),
            "faces": faces,
        }
    ).data


def searched(image: EncodedImage) -> Body:
    """The hash of a completed image, and how its faces were searched."""
    body: Body = {"file_hash": image.sha256}
    if image.analysis is not None:
        smallest = image.analysis.smallest_face_px
        body |= {"detector": image.analysis.detector, "smallest_face_px": smallest}
    return body


def as_pending(image: EncodedImage) -> Body:
    sha256 = image.sha256
    return {"message": NOT_YET, "file_hash": sha256, "face_encoding_url": url(image)}


def url(image: EncodedImage) -> str:
    """Where the encoding of an image is."""
    query = f"?detector={image.detector}" if image.detector else ""
    return f"{service_url()}/face_encoding/{image.sha256}{query}"
