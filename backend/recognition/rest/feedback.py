"""Feedback on answers, and what it measures; how far a gallery is on its way to a new model."""

from __future__ import annotations

from typing import Final, cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common.openapi import bad_request, body, errors, in_path, response
from backend.recognition.gallery import feedback, reembedding
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    NO_STORE,
    OPERATION_ID,
    PENDING,
    USER_ID,
    GalleryView,
    number,
    values,
)

_SHARE: Final = {"value": 0.9, "low": 0.7, "high": 0.97, "cases": 10}
_NO_CONTACT: Final = {"contact_id": ["The user has no such contact."]}
_FEEDBACK: Final = {
    "answer_id": OPERATION_ID,
    "right": True,
    "named": 7,
    "truth_known": True,
    "truth": 7,
}
_QUALITY: Final = {
    **{"answers": 10, "right": 9, "wrong": 1, "of_unknown_people": 0},
    **{"precision": _SHARE, "recall": _SHARE},
    "at": [{"threshold": 0.9, "precision": _SHARE, "recall": _SHARE}],
}
_PROGRESS: Final = {
    "model": "dlib",
    "faces": 1,
    "done": 1,
    "unobtainable": [],
    "switched_at": None,
}


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class FeedbackView(GalleryView):
    @extend_schema(
        operation_id="feedback",
        parameters=[in_path("answer_id", OpenApiTypes.UUID, OPERATION_ID)],
        request=body(shapes.FeedbackInput, {"contact_id": 7}),
        responses={
            200: response(shapes.FeedbackSerializer, "It is noted.", _FEEDBACK),
            400: bad_request("Something of it cannot be used.", _NO_CONTACT),
            **errors(404, 415),
        },
    )
    def post(self, request: Request, user_id: str, answer_id: UUID) -> Response:
        """Was an answer right?

        Send `right`, true or false, or the true `contact_id`: null for a stranger.
        """
        verdict = cast(feedback.Verdict, values(shapes.FeedbackInput(data=request.data)))
        try:
            noted = feedback.note(self.owner_id, number(user_id), answer_id, verdict)
        except feedback.NoSuchAnswer:
            raise NotFound("The user got no such answer, or it is kept no longer.") from None
        except feedback.NoSuchContact:
            raise ValidationError(_NO_CONTACT) from None
        return Response(shapes.FeedbackSerializer(noted).data, headers=NO_STORE)


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class QualityView(GalleryView):
    @extend_schema(
        operation_id="recognition_quality",
        parameters=[PENDING],
        responses={
            200: response(shapes.QUALITY, "As it is now.", _QUALITY),
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> Response:
        """How often answers were right, by the feedback."""
        return self.answer(feedback.quality(self.user(user_id)))


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class ReembeddingView(GalleryView):
    @extend_schema(
        operation_id="reembedding",
        parameters=[PENDING],
        responses={
            200: response(shapes.REEMBEDDING, "As it is now.", _PROGRESS),
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> Response:
        """How far a gallery is on its way to the present model."""
        return self.answer(reembedding.progress(self.user(user_id)))
