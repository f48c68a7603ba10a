"""Request and answer bodies of submissions."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.settings import api_settings

from backend.analysis import services as analysis
from backend.analysis.serializers import (
    ByHandField,
    CorrectedFaceSerializer,
    DetectorField,
    SmallestFaceField,
    TurnedSerializer,
    UsedDetectorField,
)
from backend.common.http.image_names import EXTENSIONS
from backend.common.http.upload_fields import ImageUploadField
from backend.common.jobs.models import Status
from backend.common.openapi import BoxSerializer, MomentField
from backend.submissions import events, services
from backend.submissions.models import Submission

NOT_AN_IMAGE = (
    "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
)

TOO_SMALL: Final = (
    f"A box has at least {analysis.MIN_SIDE_PX} pixels a side, right of left and bottom below top."
)
ONE_OF: Final = "Send one box, or the number of one face."

_LONGEST_PX: Final = 1_000_000
"""More than any image has, so that a wrong number is refused before a database refuses it."""


def _check(file: Any) -> None:
    try:
        analysis.check_image(file)
    except analysis.AnalysisError as error:
        raise serializers.ValidationError(_sentence(error)) from error


def _sentence(error: analysis.AnalysisError) -> str:
    """The contract's sentence, unless there is more to say, as of too large an image."""
    return str(error) if error.is_specific else NOT_AN_IMAGE


class UploadSerializer(serializers.Serializer[Any]):
    """The body of an upload."""

    image = ImageUploadField(check=_check, help_text=f"One of: {', '.join(EXTENSIONS)}.")
    detector = DetectorField(help_text="Finds the faces; empty: the service's.")


class AcceptedSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    feed_url = serializers.URLField(help_text="The websocket that publishes how it ended.")
    id = serializers.UUIDField()
    status_url = serializers.URLField()


class BoxedFaceSerializer(TurnedSerializer):
    box = BoxSerializer()
    by_hand = ByHandField()


def _texts(detail: Any) -> list[str]:
    if not isinstance(detail, dict):
        return [str(each) for each in detail]
    named = {"": detail.pop(api_settings.NON_FIELD_ERRORS_KEY, []), **detail}
    return [f"{name}: {each}" if name else str(each) for name in named for each in named[name]]


class _DrawnBoxSerializer(BoxSerializer):
    """A box that was drawn; beyond the image it is cut off."""

    top, right, bottom, left = (
        serializers.IntegerField(min_value=-_LONGEST_PX, max_value=_LONGEST_PX) for _ in range(4)
    )

    def run_validation(self, data: Any = empty) -> Any:
        try:
            return super().run_validation(data)
        except serializers.ValidationError as error:
            # In one list, as every error of a field is.
            raise serializers.ValidationError(_texts(error.detail)) from error

    def validate(self, attrs: dict[str, int]) -> dict[str, int]:
        sides = attrs["right"] - attrs["left"], attrs["bottom"] - attrs["top"]
        if min(sides) < analysis.MIN_SIDE_PX:
            raise serializers.ValidationError(TOO_SMALL)
        return attrs


class CorrectionSerializer(serializers.Serializer[Any]):
    """A box round a face that was missed, or the number of one that was hidden."""

    box = _DrawnBoxSerializer(required=False)
    face = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"box": [ONE_OF]})
        return attrs


class FaceNumberSerializer(serializers.Serializer[Any]):
    """Which of the image's faces."""

    face = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class DrawnFaceSerializer(CorrectedFaceSerializer):
    """A face and its place among the image's faces."""

    face = serializers.IntegerField(min_value=0)


class SubmissionSerializer(serializers.ModelSerializer[Submission]):
    """The status resource of a submission."""

    status = serializers.ChoiceField(Status.values, read_only=True)
    created_at = MomentField(read_only=True)
    processed_at = MomentField(read_only=True, allow_null=True)
    faces_count = serializers.SerializerMethodField(help_text="null until it is done.")
    faces = serializers.SerializerMethodField()
    detector = UsedDetectorField(
        source="analysis.detector",
        read_only=True,
        allow_null=True,
        default=None,
        help_text="null until it is done.",
    )
    smallest_face_px = SmallestFaceField(
        source="analysis.smallest_face_px", read_only=True, default=None
    )
    image_url = serializers.SerializerMethodField(
        help_text="The image with a box round each face; null where there is none."
    )
    original_url = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField(help_text="Why it failed, in words.")

    class Meta:
        model = Submission
        fields = [
            *("id", "status", "created_at", "processed_at", "faces_count", "faces"),
            *("detector", "smallest_face_px"),
            *("image_url", "original_url", "reason", "attempts"),
        ]

    def get_faces_count(self, submission: Submission) -> int | None:
        return submission.faces_count if submission.status == Status.DONE else None

    @extend_schema_field(BoxedFaceSerializer(many=True))
    def get_faces(self, submission: Submission) -> list[dict[str, Any]]:
        return [{**face} for face in services.event_faces(submission)]

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_image_url(self, submission: Submission) -> str | None:
        return events.image_url(submission)

    @extend_schema_field(serializers.URLField)
    def get_original_url(self, submission: Submission) -> str:
        return events.original_url(submission)

    def get_reason(self, submission: Submission) -> str | None:
        return submission.reason or None


class ListedSubmissionSerializer(SubmissionSerializer):
    """A submission of a list: without its faces, which the status resource has."""

    class Meta(SubmissionSerializer.Meta):
        fields = [
            *("id", "status", "created_at", "processed_at", "faces_count"),
            *("image_url", "original_url", "reason"),
        ]


class SubmissionsSerializer(serializers.Serializer[Any]):
    """A page of a client's submissions, the newest first."""

    results = ListedSubmissionSerializer(many=True)
    next = serializers.URLField(allow_null=True, help_text="The page of older ones.")


class ListQuerySerializer(serializers.Serializer[Any]):
    """The query of a list."""

    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)
    before = serializers.RegexField(
        r"^[0-9]{1,17}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", required=False
    )
    sha256 = serializers.RegexField(r"^[0-9a-fA-F]{64}$", required=False)


class FacesSerializer(serializers.Serializer[Any]):
    """The faces of a submission, in full; none before it is done."""

    status = serializers.ChoiceField(Status.values)
    detector = UsedDetectorField(allow_null=True, help_text="null until it is done.")
    faces = CorrectedFaceSerializer(many=True)
