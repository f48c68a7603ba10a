"""Faces in answers."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backend.common.openapi import ENCODING, BoxSerializer

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
    """128 numbers, as they are."""

    def to_representation(self, value: list[float]) -> list[float]:
        return value


class QualitySerializer(serializers.Serializer[Any]):
    """How good a face is to recognise a person by; docs/faceengine.md says more."""

    score = serializers.FloatField()
    size_px = serializers.IntegerField(min_value=0)
    sharpness = serializers.FloatField()
    yaw = serializers.FloatField()
    roll = serializers.FloatField()
    too_poor = serializers.CharField(allow_null=True)


class FaceSerializer(serializers.Serializer[Any]):
    """A face: its box, its 128 numbers and its quality. Of a `FoundFace`."""

    box = BoxSerializer()
    encoding = FaceEncodingField()
    quality = QualitySerializer()
