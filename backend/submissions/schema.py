"""What the API description says of submissions."""

from typing import Final

from backend.common.openapi import (
    COUNT,
    FILE,
    MOMENT,
    TEXT,
    URL,
    UUID,
    Fragment,
    answer,
    form,
    headers,
    list_of,
    maybe,
    named,
    one_of_words,
    operation,
    path,
    query,
    record,
)
from backend.common.uploads import EXTENSIONS

_ID: Final = "7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a"
_HOST: Final = "http://localhost:8282"
_TAG: Final = "Submissions"
_STATUS: Final = one_of_words("queued", "processing", "done", "failed")
_HEX: Final = {"type": "string", "pattern": "^[0-9a-f]{2}$"}

_BY_LINK: Final = [
    query("expires", TEXT, "Part of a signed link: when it ends, in seconds since 1970."),
    query("signature", TEXT, "Part of a signed link."),
]

_ACCEPTED: Final = {
    "message": "Request accepted. Starting image processing.",
    "feed_url": "ws://localhost:8282/faces",
    "id": _ID,
    "status_url": f"{_HOST}/image/{_ID}/",
}

_DONE: Final = {
    "id": _ID,
    "status": "done",
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "processed_at": "2026-01-02T03:04:06.012345+00:00",
    "faces_count": 1,
    "faces": [{"box": {"top": 171, "right": 409, "bottom": 439, "left": 141}}],
    "image_url": f"{_HOST}/static/processed_faces/72/46/{_ID}.jpg",
    "original_url": f"{_HOST}/image/{_ID}/original",
    "reason": None,
    "attempts": 1,
}
_QUEUED: Final = {
    **_DONE,
    "status": "queued",
    "processed_at": None,
    "faces_count": None,
    "faces": [],
    "image_url": None,
    "attempts": 0,
}

SCHEMAS: Final[Fragment] = {
    "Accepted": record(
        {
            "message": TEXT,
            "feed_url": {**URL, "description": "The websocket that tells how it ended."},
            "id": UUID,
            "status_url": URL,
        }
    ),
    "Submission": record(
        {
            "id": UUID,
            "status": _STATUS,
            "created_at": MOMENT,
            "processed_at": maybe(MOMENT),
            "faces_count": {**maybe(COUNT), "description": "null until it is done."},
            "faces": list_of(record({"box": named("Box")})),
            "image_url": {
                **maybe(URL),
                "description": "The image with a box round each face; null where there is none.",
            },
            "original_url": URL,
            "reason": {**maybe(TEXT), "description": "Why it failed, in words."},
            "attempts": COUNT,
        }
    ),
}

_id: Final = path("id", UUID, _ID, "The submission's id.")

_PICTURE: Final = {
    **answer(
        "The image.",
        FILE,
        media_types=[
            "image/avif",
            "image/bmp",
            "image/gif",
            "image/heic",
            "image/heif",
            "image/jpeg",
            "image/png",
            "image/tiff",
            "image/webp",
        ],
    )
}

PATHS: Final[Fragment] = {
    "/image/": {
        "post": operation(
            "image_upload",
            "Upload an image",
            tag=_TAG,
            description="The image is stored and queued. `status_url` says how it goes, and the "
            "websocket at `feed_url` tells the outcome.",
            scope="upload",
            body=form({"image": {**FILE, "description": f"One of: {', '.join(EXTENSIONS)}."}}),
            answers={
                202: answer(
                    "Taken in: it cannot be lost any more.",
                    named("Accepted"),
                    example=_ACCEPTED,
                    sent=headers(Location="As `status_url`."),
                ),
                400: answer(
                    "No file, not an image, or one of a kind that is not taken.",
                    named("BadRequest"),
                    examples={
                        "no file": {"image": ["No file was submitted."]},
                        "not an image": {
                            "image": [
                                "Upload a valid image. The file you uploaded was either not an "
                                "image or a corrupted image."
                            ]
                        },
                    },
                ),
            },
            errors=[413, 415],
        )
    },
    "/image/{id}/": {
        "get": operation(
            "image_status",
            "How a submission is going",
            tag=_TAG,
            scope="read",
            parameters=[_id],
            answers={
                200: answer(
                    "The submission.",
                    named("Submission"),
                    examples={
                        "done": _DONE,
                        "queued": _QUEUED,
                        "failed": {
                            **_QUEUED,
                            "status": "failed",
                            "processed_at": _DONE["processed_at"],
                            "reason": "The image could not be decoded.",
                        },
                    },
                )
            },
            errors=[404],
        ),
        "delete": operation(
            "image_erase",
            "Erase a submission",
            tag=_TAG,
            description="From every store: row, files, event, job.",
            scope="upload",
            parameters=[_id],
            answers={204: answer("Nothing is left of it.")},
            errors=[404],
        ),
    },
    "/image/{id}/faces/": {
        "get": operation(
            "image_faces",
            "The faces of a submission, in full",
            tag=_TAG,
            description="Each with its box, its 128 numbers and its quality; none before it is "
            "done.",
            scope="read",
            parameters=[_id],
            answers={
                200: answer(
                    "The faces, in order.",
                    record({"status": _STATUS, "faces": list_of(named("Face"))}),
                    example={"status": "queued", "faces": []},
                )
            },
            errors=[404],
        )
    },
    "/image/{id}/original": {
        "get": operation(
            "image_original",
            "The image as it was uploaded",
            tag=_TAG,
            description="For its owner, or by a signed link.",
            scope="read",
            by_link=True,
            parameters=[_id, *_BY_LINK],
            answers={200: _PICTURE},
            errors=[404],
        )
    },
    "/static/processed_faces/{first}/{second}/{id}.jpg": {
        "get": operation(
            "image_result",
            "The image with a box round each face",
            tag=_TAG,
            description="For its owner, or by a signed link. `image_url` holds its address.",
            scope="read",
            by_link=True,
            parameters=[
                path("first", _HEX, _ID[:2], "The id's first two digits."),
                path("second", _HEX, _ID[2:4], "The id's next two digits."),
                _id,
                *_BY_LINK,
            ],
            answers={200: answer("The image.", FILE, media_types=["image/jpeg"])},
            errors=[404],
        )
    },
}
