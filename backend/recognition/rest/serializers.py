"""The answers of the API, and the inputs that are not of commands (`contract` has these)."""

from __future__ import annotations

import re
from typing import Any, Final, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from backend.analysis.fields import checked
from backend.analysis.serializers import DetectorField, ModelField
from backend.common.jobs.models import Status
from backend.common.openapi import ENCODING, MomentField, component
from backend.recognition.contract import (
    A_DETECTOR,
    INTEGERS,
    MOST_ON_REQUEST,
    ChangesShape,
    DecidedShape,
    FaceShape,
    FlagField,
    ImageField,
    IntegerField,
    RecognisedFacesShape,
)
from backend.recognition.gallery import search
from backend.recognition.gallery.feedback import QualityShape
from backend.recognition.gallery.reembedding import ProgressShape
from backend.recognition.models import READING, Kind, Operation
from backend.recognition.operations import events, results, service

PAGE_FACES = 1000


class UserNumberShape(TypedDict):
    user_id: int


class MatchShape(FaceShape):
    """A face of any of the client's users, with its contact's name."""


class MatchesShape(TypedDict):
    matches: list[MatchShape] | None


class UploadedFaceShape(TypedDict):
    """A face of an upload: its place among the image's faces, and its picture."""

    submission: str
    face: int
    crop_url: str


class SuggestedFaceShape(UploadedFaceShape):
    """A face of an upload that may be a contact's, and the nearest face of the contact."""

    recognition_confidence: float
    distance: float
    certainty: str
    near_crop_url: str | None


class SuggestionShape(TypedDict):
    """A contact, and faces of uploads that it may be; neither confirmed nor rejected."""

    contact_id: int
    name: str
    faces_count: int
    faces: list[SuggestedFaceShape]


class SuggestionsShape(TypedDict):
    contacts: list[SuggestionShape]


class UnknownGroupShape(TypedDict):
    """Faces of one unknown person, so far as that can be known."""

    faces_count: int
    faces: list[UploadedFaceShape]


class UnknownFacesShape(TypedDict):
    groups_count: int
    groups: list[UnknownGroupShape]


class OddFaceShape(TypedDict):
    """A face that does not fit its contact's others."""

    face_id: int
    distance: float
    near_contact_id: int | None
    near_name: str | None


class OddFacesShape(TypedDict):
    faces: list[OddFaceShape]


class UndoableShape(TypedDict):
    """A merge or a decision that can be undone; `name` is the contact's as it is now."""

    operation_id: str
    kind: str
    processed_at: str
    contact_id: int
    name: str
    from_contact_id: int | None
    from_name: str | None


class UndoableOperationsShape(TypedDict):
    operations: list[UndoableShape]


class ImportedShape(TypedDict):
    contacts: int
    faces: int
    feedback: int
    ids: dict[str, int]
    """The new ids, by those in the file."""


class NaturalField(serializers.IntegerField):
    """A natural number, of JSON or of a query."""

    pattern = r"[0-9]{1,19}"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 0, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(self.pattern, str(data)):
            self.fail("invalid")
        return int(data)


class UserNumberField(NaturalField):
    """A user's number, which may be negative."""

    pattern = r"-?[0-9]{1,19}"


@extend_schema_field(ENCODING)
class EncodingField(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {"invalid": "Send a list of 128 numbers, or as many as a model makes."}

    def to_internal_value(self, data: Any) -> list[float]:
        is_list = isinstance(data, list) and all(type(each) in (int, float) for each in data)
        try:
            found: list[float] = checked(data if is_list else [], any_size=True).tolist()
        except (ValueError, OverflowError):
            self.fail("invalid")
        return found


class PageInput(serializers.Serializer[Any]):
    after = NaturalField(max_value=INTEGERS[-1], required=False)
    limit = NaturalField(max_value=PAGE_FACES, required=False)


class UsersPageInput(PageInput):
    after = UserNumberField(min_value=INTEGERS[0], max_value=INTEGERS[-1], required=False)


class ExportInput(serializers.Serializer[Any]):
    compress = serializers.ChoiceField(["gzip"], required=False, allow_blank=True)


class FeedbackInput(serializers.Serializer[Any]):
    """Whether an answer was right, or the true contact: null for a stranger."""

    right = FlagField(required=False)
    contact_id = IntegerField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            message = "Send right, true or false, or the true contact_id."
            raise ValidationError({"right": [message]})
        return attrs


class SearchInput(serializers.Serializer[Any]):
    encoding = EncodingField(required=False, allow_null=True)
    model = ModelField(allow_blank=True)
    limit = NaturalField(min_value=1, max_value=search.MOST, default=3)


class SearchBody(SearchInput):
    """`bodies` reads the image."""

    image = ImageField(required=False, allow_null=True)
    detector = DetectorField(help_text=A_DETECTOR)


class GalleryUserSerializer(serializers.Serializer[Any]):
    user_id = serializers.IntegerField()
    created_at = MomentField()
    contacts_count = serializers.IntegerField(source="contacts.count", min_value=0)
    faces_count = serializers.IntegerField(source="faces.count", min_value=0)


class ContactSerializer(serializers.Serializer[Any]):
    contact_id = serializers.IntegerField()
    name = serializers.CharField()
    created_at = MomentField()
    faces_count = serializers.IntegerField(min_value=0)
    is_hidden = serializers.BooleanField()
    crop_url = serializers.SerializerMethodField()

    @extend_schema_field({"type": ["string", "null"], "format": "uri"})
    def get_crop_url(self, contact: Any) -> str | None:
        """The picture of the best face that has one."""
        if contact.crop_face_id is None:
            return None
        numbers = (contact.user.user_id, contact.contact_id, contact.crop_face_id)
        return results.crop_url(*numbers)


class TwinsSerializer(serializers.Serializer[Any]):
    """Two contacts that are likely one person, and the median distance between their faces."""

    contacts = ContactSerializer(many=True)
    distance = serializers.FloatField()


class TwinsAnswerSerializer(serializers.Serializer[Any]):
    pairs = TwinsSerializer(many=True)


class DistinctSerializer(serializers.Serializer[Any]):
    distinct = serializers.BooleanField()


class RejectionSerializer(serializers.Serializer[Any]):
    rejected = serializers.BooleanField()


class CallSerializer(serializers.Serializer[Operation]):
    """A call that takes longer."""

    operation_id = serializers.UUIDField(source="pk")
    operation_url = serializers.SerializerMethodField()
    user_id = serializers.IntegerField(source="user.user_id")
    kind = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    created_at = MomentField()
    processed_at = MomentField(allow_null=True)
    reason = serializers.SerializerMethodField()
    result = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_operation_url(self, operation: Operation) -> str:
        return events.url(operation)

    def get_reason(self, operation: Operation) -> str | None:
        return operation.reason or None

    @extend_schema_field({"description": "What the call answers, once it has ended."})
    def get_result(self, operation: Operation) -> Any:
        failed = operation.status == Status.FAILED
        if not operation.has_ended or failed and not (operation.result or {}).get("error"):
            return None
        if operation.kind in READING:
            return None if failed else service.recognition(operation)
        if operation.kind == Kind.IMPORT:
            return operation.result
        if operation.kind in (Kind.REJECT, Kind.UNREJECT):
            return None if failed else {"rejected": service.rejection(operation)}
        if operation.kind == Kind.DECIDE:
            return service.decided(operation)
        return service.changes(operation)


class FeedbackSerializer(serializers.Serializer[Any]):
    answer_id = serializers.UUIDField()
    right = serializers.BooleanField(source="is_right")
    named = serializers.IntegerField(source="named.contact_id", allow_null=True)
    truth_known = serializers.BooleanField(source="is_truth_known")
    truth = serializers.IntegerField(source="truth.contact_id", allow_null=True)


USERS: Final = {"type": "array", "items": component("UserNumber", UserNumberShape)}
FACE: Final = component("GalleryFace", FaceShape)
CHANGES: Final = component("Changes", ChangesShape)
QUALITY: Final = component("RecognitionQuality", QualityShape)
REEMBEDDING: Final = component("Reembedding", ProgressShape)
MATCHES: Final = component("Matches", MatchesShape)
IMPORTED: Final = component("Imported", ImportedShape)
UNKNOWN_FACES: Final = component("UnknownFaces", UnknownFacesShape)
SUGGESTIONS: Final = component("Suggestions", SuggestionsShape)
ODD_FACES: Final = component("OddFaces", OddFacesShape)
TWINS: Final = TwinsAnswerSerializer
UNDOABLE: Final = component("UndoableOperations", UndoableOperationsShape)
DECIDED: Final = component("Decided", DecidedShape)
RECOGNISED: Final = {
    "anyOf": [
        {"type": "array", "items": FACE, "maxItems": MOST_ON_REQUEST},
        {"type": "null"},
        component("RecognisedFaces", RecognisedFacesShape),
    ],
    "description": "Up to three contacts, the best first; null: there is no face in the image. "
    "With `faces=all` an object with every face.",
}
