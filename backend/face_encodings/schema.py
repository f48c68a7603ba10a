"""What the API description says of face encodings."""

from typing import Any, Final

from backend.common.openapi_by_hand import (
    COUNT,
    ENCODING,
    FILE,
    FLAG,
    NUMBER,
    SHA256,
    TEXT,
    URL,
    Fragment,
    answer,
    form,
    header,
    headers,
    list_of,
    maybe,
    named,
    operation,
    path,
    record,
)
from backend.face_encodings.caching import OTHER
from backend.face_encodings.serializers import FIELD, NO_FACES, NO_IMAGE, NOT_FOUND, NOT_YET

_TAG: Final = "Face encodings"
_HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_URL: Final = f"http://localhost:8282/face_encoding/{_HASH}"
_NUMBERS: Final = [-0.11179637, 0.03927189, 0.04931555, *[0.0] * 125]

_FACE: Final = {
    "box": {"top": 171, "right": 409, "bottom": 439, "left": 141},
    "encoding": _NUMBERS,
    "quality": {
        "score": 1.2,
        "size_px": 268,
        "sharpness": 310.5,
        "yaw": 0.02,
        "roll": -1.5,
        "too_poor": None,
    },
}
_ENCODED: Final = {
    "message": "OK",
    "file_hash": _HASH,
    "face_encoding": _NUMBERS,
    "faces": [_FACE],
}
_PENDING: Final = {"message": NOT_YET, "file_hash": _HASH, "face_encoding_url": _URL}
_LATER: Final = headers(Location="Where the encoding will be.", Retry_After="Seconds to wait.")

_VERDICT: Final = {
    "distance": 0.41,
    "same_person": True,
    "threshold": 0.6,
    "false_accept_rate": {
        "at_most": 0.005333,
        "measured_at_threshold": 0.6,
        "source": "LFW's 3000 pairs of different people, as published with the model",
    },
}

_MESSAGE: Final[Fragment] = {"message": TEXT}

SCHEMAS: Final[Fragment] = {
    "Quality": record(
        {
            "score": NUMBER,
            "size_px": COUNT,
            "sharpness": NUMBER,
            "yaw": NUMBER,
            "roll": NUMBER,
            "too_poor": maybe(TEXT),
        },
        description="How good a face is to recognise a person by; docs/faceengine.md says more.",
    ),
    "Face": record({"box": named("Box"), "encoding": ENCODING, "quality": named("Quality")}),
    "Encoded": record(
        {
            **_MESSAGE,
            "file_hash": SHA256,
            "face_encoding": {**ENCODING, "description": "The first face's."},
            "faces": list_of(named("Face"), minItems=1),
        }
    ),
    "Pending": record({**_MESSAGE, "file_hash": SHA256, "face_encoding_url": URL}),
    "Unusable": record(
        {**_MESSAGE, "file_hash": SHA256, "reason": TEXT, "side": {"enum": [1, 2]}},
        optional=["file_hash", "reason", "side"],
        description="The request is understood, and nothing can be made of the image.",
    ),
    "BatchAnswer": record(
        {
            "status": {"enum": [200, 202, 413, 422]},
            **_MESSAGE,
            "file_hash": SHA256,
            "face_encoding": ENCODING,
            "faces": list_of(named("Face")),
            "face_encoding_url": URL,
        },
        optional=["file_hash", "face_encoding", "faces", "face_encoding_url"],
        description="What the image would be answered alone, and the status of that.",
    ),
    "Statistics": record(
        {
            "number_of_images_processed": COUNT,
            "average_face_encodings": list_of(ENCODING, minItems=1, maxItems=1),
        }
    ),
    "Verdict": record(
        {
            "distance": {**NUMBER, "minimum": 0, "description": "Euclidean."},
            "same_person": FLAG,
            "threshold": NUMBER,
            "false_accept_rate": record(
                {
                    "at_most": maybe(NUMBER),
                    "measured_at_threshold": maybe(NUMBER),
                    "source": TEXT,
                }
            ),
        }
    ),
}


def _unusable(*messages: str, **more: Any) -> Fragment:
    examples = {message: {"message": message, **more} for message in messages}
    return answer("Nothing can be made of it.", named("Unusable"), examples=examples)


def _bad_request(example: Any) -> Fragment:
    return answer("The body cannot be read.", named("BadRequest"), example=example)


_sha256: Final = path("sha256", TEXT, _HASH, "The SHA-256 of the image's bytes, in hexadecimal.")
_UNREADABLE: Final = {"detail": "Multipart form parse error - Invalid boundary in multipart: None"}
_SIDE: Final = {
    "image": {**FILE, "description": "An image."},
    "hash": {**TEXT, "description": "The SHA-256 of an image that was sent before."},
    "encoding": {**TEXT, "description": "128 numbers, as the text of a JSON list."},
}


def _sides(kinds: Fragment) -> Fragment:
    """Exactly one of the kinds for each of the two sides."""
    names = [f"{kind}_{side}" for side in (1, 2) for kind in kinds]
    schema = record({name: kinds[name[:-2]] for name in names}, optional=names)
    return {
        **schema,
        "allOf": [
            {"oneOf": [{"required": [f"{kind}_{side}"]} for kind in kinds]} for side in (1, 2)
        ],
    }


PATHS: Final[Fragment] = {
    "/generate_face_encoding": {
        "post": operation(
            "encode",
            "The encoding of an image's face",
            tag=_TAG,
            description="Waits for the answer, up to `FACES_ANSWER_TIMEOUT_S`. The image itself "
            "is not kept.",
            scope="upload",
            body=form({FIELD: {**FILE, "description": "The image."}}),
            answers={
                200: answer(
                    "Its faces, the first one's encoding.", named("Encoded"), example=_ENCODED
                ),
                202: answer(
                    "It takes longer: ask again.", named("Pending"), example=_PENDING, sent=_LATER
                ),
                400: _bad_request(_UNREADABLE),
                422: _unusable(NO_IMAGE, NO_FACES),
            },
            errors=[413],
        )
    },
    "/face_encoding/{sha256}": {
        "get": operation(
            "encoding",
            "The encoding of an image that was sent before",
            tag=_TAG,
            scope="read",
            parameters=[
                _sha256,
                header("If-None-Match", "304 if the answer has this `ETag`.", example='"0"'),
                header("If-Match", "412 unless the answer has this `ETag`."),
            ],
            answers={
                200: answer(
                    "Its faces.",
                    named("Encoded"),
                    example=_ENCODED,
                    sent=headers(ETag="A strong validator.", Cache_Control="Who may keep it."),
                ),
                202: answer("Not yet.", named("Pending"), example=_PENDING, sent=_LATER),
                304: answer("The caller has it already."),
                412: answer(
                    "The answer is another one.",
                    named("Detail"),
                    example={"detail": OTHER},
                ),
                422: _unusable(NOT_FOUND),
            },
        ),
        "delete": operation(
            "encoding_erase",
            "Forget an image and its encodings",
            tag=_TAG,
            scope="upload",
            parameters=[_sha256],
            answers={204: answer("Nothing is left of them."), 422: _unusable(NOT_FOUND)},
        ),
    },
    "/face_encodings/batch": {
        "post": operation(
            "encode_batch",
            "The encodings of several images",
            tag=_TAG,
            description="An answer for each, in the order sent; none spoils another.",
            scope="upload",
            body=form({FIELD: list_of(FILE, minItems=1)}),
            answers={
                200: answer(
                    "An answer for each.",
                    record({"results": list_of(named("BatchAnswer"))}),
                    example={
                        "results": [
                            {"status": 200, **_ENCODED},
                            {"status": 422, "message": NO_FACES, "file_hash": _HASH},
                        ]
                    },
                ),
                400: _bad_request(_UNREADABLE),
                422: _unusable(NO_IMAGE, "At most 32 images at a time."),
            },
            errors=[413],
        )
    },
    "/stats/": {
        "get": operation(
            "statistics",
            "How many images had a face, and the mean of their first encodings",
            tag=_TAG,
            scope="read",
            answers={
                200: answer(
                    "Of the caller's images.",
                    named("Statistics"),
                    example={
                        "number_of_images_processed": 1,
                        "average_face_encodings": [_NUMBERS],
                    },
                )
            },
        )
    },
    "/verify": {
        "post": operation(
            "verify",
            "Are these two the same person?",
            tag=_TAG,
            description="Each side is an image, the hash of one that was sent before (which needs "
            "the scope `read` as well), or an encoding.",
            scope="upload",
            body={
                "required": True,
                "content": {
                    "multipart/form-data": {"schema": _sides(_SIDE)},
                    "application/json": {
                        "schema": _sides({"hash": _SIDE["hash"], "encoding": ENCODING}),
                        "example": {"hash_1": _HASH, "encoding_2": _NUMBERS},
                    },
                },
            },
            answers={
                200: answer("The verdict.", named("Verdict"), example=_VERDICT),
                400: answer(
                    "A side is missing, or is not what its field says.",
                    named("BadRequest"),
                    example={"image_1": ["Send one of image_1, hash_1, encoding_1."]},
                ),
                422: _unusable(NO_FACES, NOT_FOUND, side=2),
            },
            errors=[413, 415],
        )
    },
}
