"""The contract's face structure, and the inputs of commands: one validation for Python and HTTP.

Values are taken as they are in JSON: "1", 1.0 and true are no integers. Unknown keys are ignored,
so that a structure of an answer can be sent again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Required, TypedDict

from django.core.files.base import File
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.settings import api_settings

from backend.analysis.serializers import DetectorField
from backend.analysis.services import QualityShape
from wire.events import BoxShape

INTEGERS: Final = range(-(1 << 63), 1 << 63)
"""What both databases can hold."""

MOST: Final = 3
"""Candidates of one answer, as the contract has it."""

MOST_ON_REQUEST: Final = 50

URL_CHARACTERS: Final = 8192
NAME_CHARACTERS: Final = 200

MAX_FACES: Final = 100
"""Of one call that adds or deletes."""

INDEXED_FACES: Final = 50
"""Of a contact, those with the best scores, are compared with a probe."""


class _FaceDetails(TypedDict, total=False):
    external_id: int | None
    score: float
    id: int
    is_face: bool
    reason: str | None
    """Why it is in `error` or `not_found`; of an added one, a remark on its image."""
    recognition_confidence: float
    distance: float
    name: str
    """Of its contact; in answers of recognitions."""
    crop_url: str | None
    """Its picture, if one is kept; in lists of faces."""
    is_used: bool
    """Whether probes are compared with it: it shows a face, and is among the contact's best."""
    faces_count: int
    """Faces in the image that was recognised, of which this answer is about one."""
    submission: str | None
    face: int | None
    """Of a face to enrol: the submitted image, and the face's place among the image's faces."""


class NamedFaceShape(TypedDict):
    user_id: int
    contact_id: int
    face_id: int
    face_url: str


class FaceShape(_FaceDetails, NamedFaceShape):
    """The face data structure. `id` is stable, and never used again."""


class RefusedFaceShape(_FaceDetails, total=False):
    """A face that was not added, as the call named it: without ids that the call left to us."""

    user_id: Required[int]
    contact_id: int
    face_id: int
    face_url: Required[str]


class CandidateShape(FaceShape):
    """A contact that a face may show, by the nearest of the contact's faces."""

    certainty: str
    """`recognition_confidence` in a word: sure, likely or possible."""
    is_enrolled: bool
    """This face of this image was enrolled as the contact's: the name was given, not guessed."""
    is_hidden: bool
    """The contact is of no interest: it is recognised, and in no suggestion."""


class RecognisedFaceShape(TypedDict):
    """One face of an image, and the contacts that it may show, the best first."""

    face: int
    box: BoxShape
    quality: QualityShape
    candidates: list[CandidateShape]


class RecognisedFacesShape(TypedDict):
    """The answer for every face of an image, in the order of the submission's faces."""

    faces: list[RecognisedFaceShape]


class ChangesShape(TypedDict):
    """The answer to a change: each face of the call is in exactly one of the lists."""

    added: list[FaceShape]
    deleted: list[FaceShape]
    not_found: list[FaceShape]
    error: list[RefusedFaceShape]


class DecidedShape(ChangesShape):
    """The answer to decisions, which are undone by the id of the operation."""

    rejected: int
    operation_id: str


A_DETECTOR: Final = "Finds the faces in the images; empty: the service's."

LISTS: Final = ("added", "deleted", "not_found", "error")


class InvalidInput(ValidationError, ValueError):
    """An input that cannot be used: 400 over HTTP, a `ValueError` in Python."""


def validated(kind: type[serializers.Serializer[Any]], **given: Any) -> dict[str, Any]:
    """The values of a command. Raises `InvalidInput` with the first error, by its field."""
    serializer = kind(data=given)
    if not serializer.is_valid():
        raise InvalidInput(first_error(serializer.errors))
    return dict(serializer.validated_data)


def first_error(errors: Any, field: str = "") -> dict[str, list[str]]:
    """The first of nested errors, by the innermost field that has a name."""
    if isinstance(errors, Mapping):
        name, inner = next(iter(errors.items()))
        is_field = isinstance(name, str) and name != api_settings.NON_FIELD_ERRORS_KEY
        return first_error(inner, name if is_field else field)
    first = next(each for each in errors if each)
    return {field: [str(first)]} if isinstance(first, str) else first_error(first, field)


class _Exact:
    """Takes JSON's own types alone: "1", 1.0 and true are no integers."""

    types: tuple[type, ...]

    def to_internal_value(self: Any, data: Any) -> Any:
        if type(data) not in self.types:
            self.fail("invalid", input=data)
        return super().to_internal_value(data)  # type: ignore[misc]  # the field's


class IntegerField(_Exact, serializers.IntegerField):
    """An integer of 64 bits."""

    types = (int,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=INTEGERS[0], max_value=INTEGERS[-1], **kwargs)


class WholeNumberField(_Exact, serializers.IntegerField):
    types = (int,)


class PlaceField(WholeNumberField):
    """The place of a face among those of its image, from 0."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=(1 << 31) - 1, **kwargs)


class SubmissionField(_Exact, serializers.UUIDField):
    """A submission's id."""

    types = (str,)


class NumberField(_Exact, serializers.FloatField):
    """A finite number."""

    types = (int, float)

    def to_internal_value(self, data: Any) -> float:
        try:
            value: float = super().to_internal_value(data)
        except OverflowError:  # an integer beyond all floats
            value = math.inf
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class FlagField(_Exact, serializers.BooleanField):
    types = (bool,)


class TextField(_Exact, serializers.CharField):
    """A text as it is. REST framework's validators refuse what PostgreSQL cannot store."""

    types = (str,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)


@extend_schema_field({"type": "string", "description": "In JSON, the bytes in base64."})
class ImageField(serializers.Field[Any, Any, Any, Any]):
    """The bytes of an image, or a file of them."""

    default_error_messages = {"invalid": "Give a URL, or the bytes of an image."}

    def to_internal_value(self, data: Any) -> bytes | File[Any]:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        if not isinstance(data, File):
            self.fail("invalid")
        return data


class NamedFaceSerializer(serializers.Serializer[Any]):
    """A face by its `face_id`; the rest is what an answer repeats."""

    user_id = IntegerField(required=False, allow_null=True)
    contact_id = IntegerField(required=False, allow_null=True)
    face_id = IntegerField()
    face_url = TextField(
        max_length=URL_CHARACTERS, required=False, allow_null=True, allow_blank=True
    )
    external_id = IntegerField(required=False, allow_null=True)
    score = NumberField(required=False, allow_null=True)


class SubmittedFaceFields(serializers.Serializer[Any]):
    """A face of an image that the client has submitted, by its place among the image's faces."""

    submission = SubmissionField(required=False, allow_null=True)
    face = PlaceField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("submission") is None and attrs.get("face") is not None:
            raise ValidationError({"submission": ["Of which submission is this face?"]})
        return attrs


class NewFaceSerializer(SubmittedFaceFields, NamedFaceSerializer):
    """A face to add: with its score, and its image by URL, as bytes or as a submission.

    Of a face of a submission the server chooses `face_id` and `score` where they are missing.
    """

    face_id = IntegerField(required=False, allow_null=True)
    score = NumberField(required=False, allow_null=True)
    image = ImageField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        images = [attrs.get("image"), attrs.get("submission")]
        given = [each for each in images if each is not None]
        if len(given) > 1:
            raise ValidationError({"submission": ["Give a submission, or an image."]})
        if attrs.get("submission") is None:
            self._require(attrs, "face_id", "score")
        elif attrs.get("face") is None:
            raise ValidationError({"face": ["Which of the submission's faces, from 0?"]})
        if not given and not attrs.get("face_url"):
            raise ValidationError({"face_url": ["Give a URL here, or the bytes as image."]})
        return attrs

    def _require(self, attrs: dict[str, Any], *names: str) -> None:
        for name in names:
            if attrs.get(name) is None:
                field = self.fields[name]
                code = "null" if name in attrs else "required"
                raise ValidationError({name: [field.error_messages[code]]})


# Over HTTP these two are parameters of the path.
@extend_schema_serializer(exclude_fields=["user_id", "contact_id"])
class UserInput(serializers.Serializer[Any]):
    user_id = IntegerField()


class ContactInput(UserInput):
    contact_id = IntegerField()


class DetectorInput(serializers.Serializer[Any]):
    detector = DetectorField(help_text=A_DETECTOR)


class FacesInput(ContactInput):
    """Faces of one contact."""

    face: type[serializers.Serializer[Any]] = NamedFaceSerializer

    def get_fields(self) -> Any:
        faces = self.face(many=True, max_length=MAX_FACES)  # type: ignore[call-arg]  # the list's
        return {**super().get_fields(), "faces": faces}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for face in attrs["faces"]:
            for field in ("user_id", "contact_id"):
                if face.get(field) not in (None, attrs[field]):
                    message = f"This face is of another {field[:-3]} than the call."
                    raise ValidationError({field: [message]})
        return attrs


class NewFacesInput(DetectorInput, FacesInput):
    face = NewFaceSerializer


class NewContactInput(DetectorInput, UserInput):
    """A contact whose number the server chooses, with at least one face."""

    name = TextField(max_length=NAME_CHARACTERS, allow_blank=True, default="")

    def get_fields(self) -> Any:
        faces = NewFaceSerializer(many=True, max_length=MAX_FACES, min_length=1)  # type: ignore[call-arg]  # the list's
        return {**super().get_fields(), "faces": faces}


class RejectionInput(ContactInput):
    """A face that is not the contact's."""

    submission = SubmissionField()
    face = PlaceField()


class PlaceInput(serializers.Serializer[Any]):
    """A face of a submission."""

    submission = SubmissionField()
    face = PlaceField()


class DecisionsInput(ContactInput):
    """Faces of submissions that are the contact's, and faces that are not."""

    def get_fields(self) -> Any:
        faces = {
            name: PlaceInput(many=True, max_length=MAX_FACES, default=list)  # type: ignore[call-arg]  # the list's
            for name in ("yes", "no")
        }
        return {**super().get_fields(), **faces}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        count = len(attrs["yes"]) + len(attrs["no"])
        if not 0 < count <= MAX_FACES:
            raise ValidationError({"yes": [f"Send 1 to {MAX_FACES} faces, as yes and no."]})
        places = {(each["submission"], each["face"]) for each in attrs["yes"] + attrs["no"]}
        if len(places) < count:
            raise ValidationError({"no": ["A face is named twice."]})
        return attrs


class MoveInput(FacesInput):
    to_contact_id = IntegerField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["to_contact_id"] == attrs["contact_id"]:
            raise ValidationError({"to_contact_id": ["The faces are of this contact already."]})
        return super().validate(attrs)


class MergeInput(ContactInput):
    from_contact_id = IntegerField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["from_contact_id"] == attrs["contact_id"]:
            raise ValidationError({"from_contact_id": ["A contact cannot be merged with itself."]})
        return attrs


class ContactChangesInput(ContactInput):
    """What is to be changed of a contact: at least one of them."""

    name = TextField(max_length=NAME_CHARACTERS, allow_blank=True, required=False)
    is_hidden = FlagField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not {"name", "is_hidden"} & set(attrs):
            raise ValidationError({"name": ["This field is required."]})
        return attrs


class DistinctInput(UserInput):
    """Two contacts that are two people."""

    contact_ids = serializers.ListField(child=IntegerField(), min_length=2, max_length=2)

    def validate_contact_ids(self, ids: list[int]) -> list[int]:
        if ids[0] == ids[1]:
            raise ValidationError(["These are one contact."])
        return ids


class ProbeInput(DetectorInput, SubmittedFaceFields, UserInput):
    """An image to recognise: by URL, as bytes, or as a submission; and what to answer."""

    face_url = TextField(max_length=URL_CHARACTERS, required=False)
    image = ImageField(required=False)
    faces = serializers.ChoiceField(["largest", "all"], required=False)
    min_confidence = NumberField(min_value=0, max_value=1, required=False)
    limit = WholeNumberField(min_value=1, max_value=MOST_ON_REQUEST, required=False)
