"""What a submission looks like to clients."""

from typing import Any

from rest_framework import serializers

from backend.analysis import services as analysis
from backend.common.uploads import ImageUploadField
from backend.common.work import Status
from backend.submissions import events, services
from backend.submissions.models import Submission

NOT_AN_IMAGE = (
    "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
)


def _check(file: Any) -> None:
    try:
        analysis.check_image(file)
    except analysis.AnalysisError as error:
        raise serializers.ValidationError(_sentence(error)) from error


def _sentence(error: analysis.AnalysisError) -> str:
    """The contract's sentence for what is not an image; a size that is refused says its bound."""
    return str(error) if error.too_large else NOT_AN_IMAGE


class UploadSerializer(serializers.Serializer[Any]):
    """The body of an upload."""

    image = ImageUploadField(check=_check)


def as_resource(submission: Submission) -> dict[str, Any]:
    """The status resource of a submission."""
    return {
        "id": str(submission.pk),
        "status": submission.status,
        "created_at": submission.created_at.isoformat(),
        "processed_at": submission.processed_at and submission.processed_at.isoformat(),
        "faces_count": submission.faces_count if submission.status == Status.DONE else None,
        "faces": [{"box": box} for box in services.boxes(submission)],
        "image_url": events.image_url(submission),
        "original_url": events.original_url(submission),
        "reason": submission.reason or None,
        "attempts": submission.attempts,
    }
