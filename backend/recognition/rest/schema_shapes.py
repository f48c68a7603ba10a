"""The shapes of galleries and recognition in the API description, and an example of each."""

from typing import Final

from backend.common.openapi_by_hand import (
    COUNT,
    FLAG,
    MOMENT,
    NUMBER,
    TEXT,
    URL,
    UUID,
    Fragment,
    list_of,
    maybe,
    named,
    one_of_words,
    record,
)

INTEGER: Final[Fragment] = {"type": "integer"}
NUMBER_64: Final[Fragment] = {
    "type": "integer",
    "minimum": -(2**63),
    "maximum": 2**63 - 1,
}
PORTION: Final[Fragment] = {"type": "number", "minimum": 0, "maximum": 1}
OPERATION_ID: Final = "5d3a3c1e-1111-4c3b-9f4e-5f4f4b0d1f6a"
AT: Final = "2026-01-02T03:04:05.678901+00:00"

ONE_FACE: Final = {
    "user_id": 1,
    "contact_id": 7,
    "face_id": 70,
    "face_url": "https://pictures.example/7.jpg",
    "external_id": None,
    "score": 0.9,
    "id": 12,
    "is_face": True,
}
CHANGES: Final = {"added": [ONE_FACE], "deleted": [], "not_found": [], "error": []}
ONE_CONTACT: Final = {"contact_id": 7, "name": "Ann", "created_at": AT, "faces_count": 1}
PENDING_CALL: Final = {
    "operation_id": OPERATION_ID,
    "operation_url": f"http://localhost:8282/recognition/operations/{OPERATION_ID}/",
    "user_id": 1,
    "kind": "add",
    "status": "queued",
    "created_at": AT,
    "processed_at": None,
    "reason": None,
    "result": None,
}
SHARE: Final = {"value": 0.9, "low": 0.7, "high": 0.97, "cases": 10}

SCHEMAS: Final[Fragment] = {
    "GalleryFace": record(
        {
            "user_id": INTEGER,
            "contact_id": INTEGER,
            "face_id": INTEGER,
            "face_url": TEXT,
            "external_id": maybe(INTEGER),
            "score": NUMBER,
            "id": {**INTEGER, "description": "Stable, and never used again."},
            "is_face": FLAG,
            "reason": {**maybe(TEXT), "description": "Why it is in this list."},
            "recognition_confidence": PORTION,
            "distance": NUMBER,
            "name": TEXT,
        },
        optional=[
            "external_id",
            "score",
            "id",
            "is_face",
            "reason",
            "recognition_confidence",
            "distance",
            "name",
        ],
        description="The face data structure.",
    ),
    "Changes": record(
        {
            name: list_of(named("GalleryFace"))
            for name in ("added", "deleted", "not_found", "error")
        },
        description="Each face of the call is in exactly one of the lists.",
    ),
    "GalleryUser": record(
        {
            "user_id": INTEGER,
            "created_at": MOMENT,
            "contacts_count": COUNT,
            "faces_count": COUNT,
        }
    ),
    "Contact": record(
        {"contact_id": INTEGER, "name": TEXT, "created_at": MOMENT, "faces_count": COUNT}
    ),
    "Recognised": {
        "anyOf": [list_of(named("GalleryFace"), maxItems=3), {"type": "null"}],
        "description": "Up to three contacts, the best first; null: there is no face in the image.",
    },
    "Call": record(
        {
            "operation_id": UUID,
            "operation_url": URL,
            "user_id": INTEGER,
            "kind": TEXT,
            "status": one_of_words("queued", "processing", "done", "failed"),
            "created_at": MOMENT,
            "processed_at": maybe(MOMENT),
            "reason": maybe(TEXT),
            "result": {"description": "What the call answers, once it has ended."},
        },
        description="A call that takes longer.",
    ),
    "Share": record(
        {"value": maybe(PORTION), "low": PORTION, "high": PORTION, "cases": COUNT},
        description="A share of cases, and Wilson's interval of 95 % round it.",
    ),
    "RecognitionQuality": record(
        {
            "answers": COUNT,
            "right": COUNT,
            "wrong": COUNT,
            "of_unknown_people": COUNT,
            "precision": named("Share"),
            "recall": named("Share"),
            "at": list_of(
                record({"threshold": NUMBER, "precision": named("Share"), "recall": named("Share")})
            ),
        }
    ),
    "Reembedding": record(
        {
            "model": TEXT,
            "faces": COUNT,
            "done": COUNT,
            "unobtainable": list_of(record({"id": INTEGER, "reason": TEXT})),
            "switched_at": maybe(MOMENT),
        }
    ),
    "Feedback": record(
        {
            "answer_id": UUID,
            "right": maybe(FLAG),
            "named": maybe(INTEGER),
            "truth_known": FLAG,
            "truth": maybe(INTEGER),
        }
    ),
}
