"""What the API description says of photos: the doors of the extraction, and the pictures."""

from typing import Final

from backend.common.openapi_by_hand import (
    ENCODING,
    FILE,
    TEXT,
    UUID,
    Fragment,
    answer,
    header,
    json_body,
    list_of,
    named,
    one_of_words,
    operation,
    path,
    query,
    record,
)
from backend.photos.models import WIDTHS_PX

_TAG: Final = "Photos"
_KEY: Final = "7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a"
_JPEG: Final = answer("The picture.", FILE, media_types=["image/jpeg"])
_NONE: Final[Fragment] = {"type": "string", "pattern": "^[0-9]{1,18}$"}

_BY_LINK: Final = [
    query("expires", TEXT, "Part of a signed link: when it ends, in seconds since 1970."),
    query("signature", TEXT, "Part of a signed link."),
]
_SOURCE: Final = [
    path("type", one_of_words("photo", "reference"), "photo"),
    path("pk", _NONE, "7", "The key of the photo or reference."),
]
_FOUND: Final[Fragment] = {"type": "object", "properties": {"box": named("Box")}}
_REFUSED: Final = answer(
    "The body cannot be used, or nothing is being processed.",
    named("BadRequest"),
    examples={
        "not processing": {"detail": "This is not being processed."},
        "bad body": {"encodings": ["Send a list of encodings."]},
    },
)

SCHEMAS: Final[Fragment] = {}

PATHS: Final[Fragment] = {
    "/api/facedetection/encodings/{type}/{pk}/": {
        "get": operation(
            "extraction_wanted",
            "Is a result wanted?",
            tag=_TAG,
            description="For the extraction: its token stands in `Authorization: Bearer TOKEN`.",
            parameters=[*_SOURCE, header("Authorization", "`Bearer` and the source's token.")],
            answers={
                200: answer("It is.", record({"status": TEXT}), example={"status": "processing"}),
                400: _REFUSED,
            },
            errors=[403, 404, 405, 406, 429, 503],
        ),
        "post": operation(
            "extraction_result",
            "The faces of a photo or reference",
            tag=_TAG,
            description="For the extraction: the token that it was given is part of the body.",
            parameters=_SOURCE,
            body=json_body(
                record(
                    {
                        "token": TEXT,
                        "encodings": list_of(ENCODING),
                        "faces": {**list_of(_FOUND), "description": "As `encodings`, with boxes."},
                        "model": TEXT,
                        "error": {"type": "object", "description": "Why there is no result."},
                    },
                    optional=["faces", "model", "error"],
                ),
                example={"token": "…", "encodings": []},
            ),
            answers={
                200: answer("Taken.", record({"status": TEXT}), example={"status": "ok"}),
                400: _REFUSED,
            },
            errors=[403, 404, 405, 406, 413, 415, 429, 503],
        ),
    },
    "/api/facedetection/sources/{type}/{pk}/": {
        "get": operation(
            "extraction_source",
            "The picture of a photo or reference, for its extraction",
            tag=_TAG,
            scope="read",
            by_link=True,
            parameters=[*_SOURCE, *_BY_LINK],
            answers={200: _JPEG},
            errors=[404],
        )
    },
    "/photos/{key}/{size}.jpg": {
        "get": operation(
            "photo_picture",
            "A photo, or a thumbnail of it",
            tag=_TAG,
            description="For members who may see it, and by a signed link.",
            parameters=[
                path("key", UUID, _KEY),
                path("size", one_of_words("full", *map(str, WIDTHS_PX)), "full"),
                *_BY_LINK,
            ],
            answers={200: _JPEG},
            errors=[404, 405],
        )
    },
    "/references/{key}.jpg": {
        "get": operation(
            "reference_picture",
            "The picture of a reference",
            tag=_TAG,
            description="For its member, and by a signed link.",
            parameters=[path("key", UUID, _KEY), *_BY_LINK],
            answers={200: _JPEG},
            errors=[404, 405],
        )
    },
}
