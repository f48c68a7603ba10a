"""Faces in answers, and the detector that a request names."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from backend.analysis import detectors, encoders
from backend.common.openapi import ENCODING, BoxSerializer, in_query
from wire.events import BY_HAND, ROTATIONS

FACE_EXAMPLE: Final = {
    "box": {"top": 171, "right": 409, "bottom": 439, "left": 141},
    "encoding": [-0.11179637, 0.03927189, 0.04931555, *[0.0] * 125],
    "quality": {
        "score": 1.2,
        "size_px": 268,
        "sharpness": 310.5,
        "yaw": 0.02,
        "roll": -1.5,
        "too_poor": None,
    },
}


@extend_schema_field(ENCODING)
class FaceEncodingField(serializers.Field[Any, Any, Any, Any]):
    """An encoding, its numbers as they are."""

    def to_representation(self, value: list[float]) -> Any:
        return value


@extend_schema_field({"oneOf": [ENCODING, {"type": "null"}]})
class FaceEncodingOrNullField(FaceEncodingField):
    """An encoding, null for a drawn face that is too unclear."""

    def to_representation(self, value: list[float]) -> Any:
        return value or None


class QualitySerializer(serializers.Serializer[Any]):
    """How good a face is to recognise a person by; docs/faceengine.md says more."""

    score = serializers.FloatField()
    size_px = serializers.IntegerField(min_value=0)
    sharpness = serializers.FloatField()
    yaw = serializers.FloatField()
    roll = serializers.FloatField()
    too_poor = serializers.CharField(allow_null=True)


class ModelField(serializers.CharField):
    """The model that made an encoding; missing of dlib's."""

    def __init__(self, **kwargs: Any) -> None:
        text = "The model that made the encoding; missing of dlib's."
        super().__init__(**{"required": False, "max_length": 64, "help_text": text, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):  # Django REST framework takes numbers too
            self.fail("invalid")
        return super().to_internal_value(data)


def check_encoding(encoding: list[float], model: str, *, field: str) -> None:
    """Raise `ValidationError` of `field` for an encoding that cannot be compared here."""
    if why := encoders.refusal(model, len(encoding)):
        raise ValidationError({field: [why]})


_NAME: Final = "detector"
_TWO: Final = "The query and the body name two detectors."

DETECTOR: Final = in_query(
    _NAME,
    {"type": "string", "enum": ["", *detectors.NAMES]},
    "The face detector of this request, in place of the service's; also as a field of the body.",
)


class DetectorField(serializers.ChoiceField):
    """A detector that this installation can run; empty for the service's."""

    default_error_messages = {
        "invalid_choice": "“{input}” is no detector of this service. It has: {names}."
    }

    def __init__(self, **kwargs: Any) -> None:
        options = {"required": False, "allow_blank": True, "default": ""}
        super().__init__(choices=[*detectors.NAMES], **{**options, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        # Most requests name none; which there are is looked up on the disk.
        if data != "" and data not in (names := detectors.available_detectors()):
            self.fail("invalid_choice", input=str(data)[:40], names=", ".join(names))
        return str(data)


def requested_detector(request: Request) -> str:
    """The detector that the query or the body of a request names, else empty.

    Raises `ValidationError`, with the names of all, for another name.
    """
    body = request.data if request.method == "POST" else {}
    sent = [each for each in (request.query_params, body) if isinstance(each, Mapping)]
    found = {_checked(values.get(_NAME)) for values in sent} - {""}
    if len(found) > 1:
        raise ValidationError({_NAME: [_TWO]})
    return found.pop() if found else ""


def _checked(name: Any) -> str:
    if name is None or name == "":
        return ""
    try:
        return str(DetectorField().run_validation(name))
    except ValidationError as error:
        raise ValidationError({_NAME: error.detail}) from error


class UsedDetectorField(serializers.ChoiceField):
    """The detector that found the faces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[*detectors.NAMES], **kwargs)


class ByHandField(serializers.ChoiceField):
    """What a person said of a face."""

    def __init__(self, **kwargs: Any) -> None:
        text = "A person drew the box, or said that it holds no face; missing otherwise."
        super().__init__(choices=[*BY_HAND], **{"required": False, "help_text": text, **kwargs})


class TurnedSerializer(serializers.Serializer[Any]):
    """A face that may be turned, corrected, or of another model: what is not so is missing."""

    rotation = serializers.ChoiceField(
        ROTATIONS,
        required=False,
        help_text="Degrees clockwise by which the face is turned.",
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shape = dict(super().to_representation(instance))
        for name in ("rotation", "by_hand", "model"):
            if not shape.get(name):
                shape.pop(name, None)
        return shape


class SmallestFaceField(serializers.IntegerField):
    """The shorter side of the smallest face that the search could have found."""

    def __init__(self, **kwargs: Any) -> None:
        text = "The smallest face, in pixels of the image, that the search could have found."
        super().__init__(**{"min_value": 1, "allow_null": True, "help_text": text, **kwargs})


class FaceSerializer(TurnedSerializer):
    """A face: its box, its encoding and its quality. Of a `FoundFace`."""

    box = BoxSerializer()
    encoding = FaceEncodingField()
    model = ModelField()
    quality = QualitySerializer()


class CorrectedFaceSerializer(FaceSerializer):
    """A face that may have been corrected by hand."""

    encoding = FaceEncodingOrNullField()
    by_hand = ByHandField()
