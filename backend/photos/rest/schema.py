"""What the API description says of members' photos, `/api/v2/photos/…`."""

from collections.abc import Iterable
from typing import Any, Final

from backend.common.openapi_by_hand import (
    COUNT,
    FILE,
    FLAG,
    MOMENT,
    NUMBER,
    PIXELS,
    TEXT,
    URL,
    Fragment,
    answer,
    form,
    json_body,
    list_of,
    maybe,
    named,
    one_of_words,
    operation,
    path,
    query,
    record,
)

_TAG: Final = "Photos of me"
_API: Final = "/api/v2/photos"
_FACES: Final = f"{_API}/facedetection"
_AT: Final = "2026-01-02T03:04:05.678901+00:00"
_DAY: Final = {"type": "string", "format": "date"}
_KEY: Final[Fragment] = {"type": "integer", "minimum": 0}
_DONE: Final = {204: answer("Done.")}

_PHOTO: Final = {
    "pk": 7,
    "album": {"pk": 3, "title": "Summer", "date": "2026-01-02"},
    "taken_at": _AT,
    "width": 1600,
    "height": 1200,
    "hidden": False,
    "file": dict.fromkeys(
        ("full", "small", "medium", "large"), "http://localhost:8282/photos/7246f927/full.jpg"
    ),
    "num_likes": 0,
    "liked": False,
}
_REFERENCE: Final = {
    "pk": 5,
    "status": "processing",
    "reason": None,
    "created_at": _AT,
    "file": None,
}
_ALBUM: Final = {
    "pk": 3,
    "title": "Summer",
    "date": "2026-01-02",
    "hidden": False,
    "is_processing": False,
}
_ARCHIVE: Final = {
    "pk": 2,
    "album": 3,
    "name": "summer.zip",
    "status": "queued",
    "reason": None,
    "entries_count": None,
    "entries_seen": 0,
    "photos_added": 0,
    "skipped_count": 0,
    "skipped": [],
}
_PERSON: Final = {
    "pk": 1,
    "name": "",
    "hidden": False,
    "faces_count": 4,
    "member": None,
    "status": "unknown",
}
_CONSENT: Final = {"takes_part": True, "opted_in_at": _AT, "opted_out_at": None}

_PHOTO_KEYS: Final[dict[str, Fragment]] = {
    "pk": _KEY,
    "album": record({"pk": _KEY, "title": TEXT, "date": _DAY}),
    "taken_at": MOMENT,
    "width": PIXELS,
    "height": PIXELS,
    "hidden": FLAG,
    "file": record(dict.fromkeys(("full", "small", "medium", "large"), URL)),
    "num_likes": COUNT,
    "liked": FLAG,
}
_PROGRESS: Final = ("photos_count", "prepared_count", "done_count", "failed_count")
_PERSON_KEYS: Final[dict[str, Fragment]] = {
    "pk": _KEY,
    "name": TEXT,
    "hidden": FLAG,
    "faces_count": COUNT,
    "member": maybe(_KEY),
    "status": one_of_words("claimed", "unknown", "agreed", "offered"),
}
_CHANGES: Final = {"processing": FLAG, "version": TEXT}

SCHEMAS: Final[Fragment] = {
    "Photo": record(_PHOTO_KEYS),
    "PhotoInFull": record(
        {
            **_PHOTO_KEYS,
            "faces": list_of(record({"pk": _KEY, "box": maybe(named("Box"))})),
            "is_me": FLAG,
        }
    ),
    "Reference": record(
        {
            "pk": _KEY,
            "status": one_of_words("processing", "done", "rejected", "failed"),
            "reason": {**maybe(TEXT), "description": "Why it was rejected."},
            "created_at": MOMENT,
            "file": maybe(URL),
        }
    ),
    "Album": record(
        {
            "pk": _KEY,
            "title": TEXT,
            "date": _DAY,
            "hidden": FLAG,
            "is_processing": FLAG,
            **dict.fromkeys(_PROGRESS, COUNT),
            "status": record(_CHANGES),
        },
        optional=[*_PROGRESS, "status"],
        description="How far its photos are is told to who keeps albums.",
    ),
    "Archive": record(
        {
            "pk": _KEY,
            "album": _KEY,
            "name": TEXT,
            "status": one_of_words("queued", "processing", "done", "failed"),
            "reason": maybe(TEXT),
            "entries_count": maybe(COUNT),
            "entries_seen": COUNT,
            "photos_added": COUNT,
            "skipped_count": COUNT,
            "skipped": {"type": "array", "description": "What was left out, and why."},
        }
    ),
    "Person": record(_PERSON_KEYS, description="A group of faces of somebody unknown."),
    "PersonInFull": record({**_PERSON_KEYS, "faces": list_of(record({"pk": _KEY, "photo": _KEY}))}),
    "Consent": record(
        {"takes_part": FLAG, "opted_in_at": maybe(MOMENT), "opted_out_at": maybe(MOMENT)}
    ),
    "MemberStatus": record(
        {
            **_CHANGES,
            "message": maybe(TEXT),
            "references": {"type": "object", "additionalProperties": COUNT},
            "photos_count": COUNT,
        }
    ),
}

_pk: Final = path("pk", _KEY, "7")
_PAGE: Final = [
    query("limit", {**COUNT, "minimum": 1}, "So many at most; 200 if it is more."),
    query("offset", COUNT, "Leave out so many."),
    query("cursor", TEXT, "From `next` or `previous`."),
]


def _op(
    id: str,
    summary: str,
    answers: dict[int, Fragment],
    *,
    parameters: Iterable[Fragment] = (),
    body: Fragment | None = None,
    errors: Iterable[int] = (),
    description: str = "",
) -> Fragment:
    return operation(
        id,
        summary,
        tag=_TAG,
        by_members=True,
        answers=answers,
        parameters=parameters,
        body=body,
        errors=errors,
        description=description,
    )


def _list(id: str, summary: str, of: str, example: Any, *parameters: Fragment) -> Fragment:
    schema = record(
        {
            "count": COUNT,
            "next": maybe(URL),
            "previous": maybe(URL),
            "results": list_of(named(of)),
        }
    )
    page = {"count": 1, "next": None, "previous": None, "results": [example]}
    return _op(
        id,
        summary,
        {200: answer("A page of them.", schema, example=page), 400: _refused("limit")},
        parameters=[*parameters, *_PAGE],
        errors=[404] if parameters else [],
    )


def _one(id: str, summary: str, of: str, example: Any, **more: Any) -> Fragment:
    answers = {200: answer("It is so.", named(of), example=example)}
    return _op(id, summary, answers, parameters=[_pk], errors=[404], **more)


def _done(id: str, summary: str, *parameters: Fragment) -> Fragment:
    return _op(id, summary, _DONE, parameters=[_pk, *parameters], errors=[404])


def _refused(field: str) -> Fragment:
    return answer("Something of it cannot be used.", named("BadRequest"), example={field: ["…"]})


def _changed(
    id: str, summary: str, body: Fragment, done: dict[int, Fragment], field: str
) -> Fragment:
    return _op(
        id,
        summary,
        {**done, 400: _refused(field)},
        parameters=[_pk],
        body=body,
        errors=[404, 413, 415],
    )


_ALBUM_BODY: Final = record(
    {"title": TEXT, "date": _DAY, "hidden": FLAG}, optional=["hidden", "title", "date"]
)
_ONE_FILE: Final = form({"file": FILE})

PATHS: Final[Fragment] = {
    f"{_FACES}/matches/": {
        "get": _list("matches", "The photos that the member is on", "Photo", _PHOTO)
    },
    f"{_FACES}/matches/{{pk}}/": {
        "put": _done("i_am_on", "I am on this photo"),
        "delete": _done("i_am_not_on", "I take back that I am on this photo"),
    },
    f"{_FACES}/matches/{{pk}}/not-me/": {
        "put": _done("not_me", "This is not me"),
        "delete": _done("undo_not_me", "I take back that this is not me"),
    },
    f"{_FACES}/reference-faces/": {
        "get": _list("references", "The member's references", "Reference", _REFERENCE),
        "post": _op(
            "reference_upload",
            "One more reference",
            {
                201: answer("Taken.", named("Reference"), example=_REFERENCE),
                400: _refused("file"),
            },
            body=_ONE_FILE,
            errors=[413, 415],
        ),
    },
    f"{_FACES}/reference-faces/{{pk}}/": {
        "get": _one("reference", "One reference", "Reference", _REFERENCE),
        "delete": _done("reference_delete", "Mark a reference for deletion"),
    },
    f"{_FACES}/consent/": {
        "get": _op(
            "consent",
            "Does the member take part?",
            {200: answer("It is so.", named("Consent"), example=_CONSENT)},
        ),
        "put": _op(
            "opt_in",
            "Take part",
            {200: answer("It is so.", named("Consent"), example=_CONSENT)},
        ),
        "delete": _op("opt_out", "Erase everything of the member's faces, at once", _DONE),
    },
    f"{_FACES}/status/": {
        "get": _op(
            "member_status",
            "Is anything of the member's still being processed?",
            {
                200: answer(
                    "It is so.",
                    named("MemberStatus"),
                    example={
                        "processing": False,
                        "message": None,
                        "references": {"done": 2},
                        "photos_count": 12,
                        "version": "0a1b2c",
                    },
                )
            },
        )
    },
    f"{_FACES}/people/{{pk}}/claim/": {
        "put": _op(
            "claim",
            "This group is me",
            {
                200: answer(
                    "It is so.",
                    record({"pk": _KEY, "status": TEXT}),
                    example={"pk": 1, "status": "claimed"},
                ),
                400: _refused("detail"),
            },
            parameters=[_pk],
            errors=[404],
        ),
        "delete": _done("disclaim", "This group is not me"),
    },
    f"{_API}/albums/": {
        "get": _list("albums", "The albums, newest first", "Album", _ALBUM),
        "post": _op(
            "album_make",
            "A new album, by staff",
            {201: answer("Made.", named("Album"), example=_ALBUM), 400: _refused("title")},
            body=json_body(_ALBUM_BODY, example={"title": "Summer", "date": "2026-01-02"}),
            errors=[415],
        ),
    },
    f"{_API}/albums/{{pk}}/": {
        "get": _one("album", "An album", "Album", _ALBUM),
        "patch": _changed(
            "album_change",
            "Its title, its date, whether it is hidden, by staff",
            json_body(_ALBUM_BODY, example={"hidden": True}),
            {200: answer("It is so.", named("Album"), example=_ALBUM)},
            "title",
        ),
    },
    f"{_API}/albums/{{pk}}/photos/": {
        "get": _list("album_photos", "An album's photos", "Photo", _PHOTO, _pk),
        "post": _changed(
            "album_add",
            "More photos, by staff",
            form({"file": list_of(FILE, minItems=1)}),
            dict.fromkeys(
                (200, 201),
                answer(
                    "What was added (201: at least one), and what was not and why.",
                    record(
                        {
                            "added": list_of(record({"pk": _KEY, "name": TEXT})),
                            "skipped": list_of(record({"name": TEXT, "reason": TEXT})),
                        }
                    ),
                    example={"added": [{"pk": 7, "name": "a.jpg"}], "skipped": []},
                ),
            ),
            "file",
        ),
    },
    f"{_API}/albums/{{pk}}/archives/": {
        "post": _changed(
            "archive_upload",
            "A zip or tar of photos, by staff",
            _ONE_FILE,
            {202: answer("Taken.", named("Archive"), example=_ARCHIVE)},
            "file",
        )
    },
    f"{_API}/archives/{{pk}}/": {
        "get": _one("archive", "How far an archive is, for staff", "Archive", _ARCHIVE)
    },
    f"{_API}/photos/{{pk}}/": {
        "get": _one(
            "photo",
            "A photo with its faces",
            "PhotoInFull",
            {**_PHOTO, "faces": [{"pk": 1, "box": None}], "is_me": True},
        ),
        "patch": _changed(
            "photo_hide",
            "Whether it is hidden, by staff",
            json_body(record({"hidden": FLAG}), example={"hidden": True}),
            {
                200: answer(
                    "It is so.",
                    record({"pk": _KEY, "hidden": FLAG}),
                    example={"pk": 7, "hidden": True},
                )
            },
            "hidden",
        ),
    },
    f"{_API}/photos/{{pk}}/like/": {
        "put": _done("like", "Like a photo"),
        "delete": _done("unlike", "Like it no more"),
    },
    f"{_API}/photos/{{pk}}/members/": {
        "get": _op(
            "on_photo",
            "Who is on a photo, and by what, for staff",
            {
                200: answer(
                    "They are.",
                    record(
                        {
                            "results": list_of(
                                record(
                                    {
                                        "member": _KEY,
                                        "how": TEXT,
                                        "face": maybe(_KEY),
                                        "distance": maybe(NUMBER),
                                    }
                                )
                            )
                        }
                    ),
                    example={"results": []},
                )
            },
            parameters=[_pk],
            errors=[404],
        )
    },
    f"{_API}/photos/{{pk}}/members/{{member}}/": {
        "put": _done("put_on_photo", "This member is on it, by staff", path("member", _KEY, "4")),
        "delete": _done(
            "take_off_photo", "This member is not on it, by staff", path("member", _KEY, "4")
        ),
    },
    f"{_API}/people/": {
        "get": _list(
            "people",
            "Groups of unknown people, for staff",
            "Person",
            _PERSON,
            query("hidden", {"enum": ["true"]}, "The hidden ones."),
        )
    },
    f"{_API}/people/{{pk}}/": {
        "get": _one(
            "person",
            "A group with its faces, for staff",
            "PersonInFull",
            {**_PERSON, "faces": [{"pk": 1, "photo": 7}]},
        ),
        "patch": _changed(
            "person_change",
            "Its name, whether it is hidden, by staff",
            json_body(
                record({"name": TEXT, "hidden": FLAG}, optional=["name", "hidden"]),
                example={"name": "Ann"},
            ),
            {200: answer("It is so.", named("Person"), example=_PERSON)},
            "name",
        ),
    },
    f"{_API}/people/{{pk}}/{{action}}/": {
        "post": _op(
            "person_decide",
            "What staff decides about a group",
            {
                200: answer("As it is then.", named("Person"), example=_PERSON),
                400: _refused("other"),
            },
            parameters=[
                _pk,
                path(
                    "action",
                    one_of_words("merge", "split", "take-out", "offer", "confirm", "disclaim"),
                    "merge",
                ),
            ],
            body=json_body(
                record(
                    {"other": _KEY, "faces": list_of(_KEY), "face": _KEY, "member": _KEY},
                    optional=["other", "faces", "face", "member"],
                ),
                example={"other": 2},
            ),
            errors=[404, 415],
        )
    },
}
