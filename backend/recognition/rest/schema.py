"""What the API description says of galleries and recognition."""

from typing import Any, Final

from backend.common.openapi_by_hand import (
    COUNT,
    ENCODING,
    FILE,
    FLAG,
    NUMBER,
    TEXT,
    UUID,
    Fragment,
    answer,
    headers,
    json_body,
    list_of,
    maybe,
    named,
    operation,
    path,
    query,
    record,
)
from backend.recognition.rest.schema_shapes import (
    AT,
    CHANGES,
    INTEGER,
    NUMBER_64,
    ONE_CONTACT,
    ONE_FACE,
    OPERATION_ID,
    PENDING_CALL,
    SHARE,
)
from backend.recognition.rest.schema_shapes import SCHEMAS as SCHEMAS  # part of the description

_TAG: Final = "Recognition"
_SCOPE: Final = "recognise"
_user_id: Final = path("user_id", INTEGER, "1")
_contact_id: Final = path("contact_id", INTEGER, "7")
_face_id: Final = path("face_id", INTEGER, "70")
_CONTACT_PATH: Final = [_user_id, _contact_id]
_PAGE: Final = [
    query("after", COUNT, "Faces after the one with this `id`."),
    query("limit", {**COUNT, "maximum": 1000}, "At most so many; `Link` names the next page."),
]
_PENDING_CALLS: Final = headers(Pending_Calls="Calls accepted before that have not ended yet.")
_OF_CALL: Final = headers(Operation_Id="The call's id, for `/recognition/operations/`.")
_IMAGE: Final[Fragment] = {**TEXT, "description": "The bytes in base64, instead of `face_url`."}

_SENT_FACE: Final[Fragment] = record(
    {
        "face_id": NUMBER_64,
        "score": NUMBER,
        "face_url": {**TEXT, "description": "Where the image is; or send `image`."},
        "external_id": maybe(NUMBER_64),
        "image": _IMAGE,
    },
    optional=["score", "face_url", "external_id", "image"],
)
_SENT_FACES: Final[Fragment] = {
    "anyOf": [list_of(_SENT_FACE), record({"faces": list_of(_SENT_FACE)})]
}
_FACES_BODY: Final[Fragment] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _SENT_FACES,
            "example": [{"face_id": 70, "face_url": ONE_FACE["face_url"], "score": 0.9}],
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "`faces` as the text of a JSON array, in which `image` names the "
                "part that is the image; or the fields of one face.",
                "properties": {
                    "faces": TEXT,
                    "face_id": TEXT,
                    "score": TEXT,
                    "face_url": TEXT,
                    "image": FILE,
                },
            }
        },
    },
}
_PROBE_BODY: Final[Fragment] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": record({"face_url": TEXT, "image": _IMAGE}, optional=["face_url", "image"]),
            "example": {"face_url": "https://pictures.example/who.jpg"},
        },
        "multipart/form-data": {
            "schema": record({"face_url": TEXT, "image": FILE}, optional=["face_url", "image"])
        },
    },
}


def _refused(field: str, message: str) -> Fragment:
    return answer(
        "Something of the call cannot be used.",
        named("BadRequest"),
        example={field: [message]},
    )


def _call(
    id: str,
    summary: str,
    *,
    done: Fragment,
    parameters: list[Fragment],
    body: Fragment | None = None,
    description: str = "",
) -> Fragment:
    """A call: answered at once if its end can be had at once, else followed."""
    nothing = answer("It came to nothing.", named("Detail"), example={"detail": "…"})
    return operation(
        id,
        summary,
        tag=_TAG,
        scope=_SCOPE,
        description=description
        or "Calls on one user take effect in the order in which they were accepted.",
        parameters=parameters,
        body=body,
        answers={
            200: done,
            202: answer(
                "It takes longer: follow it.",
                named("Call"),
                example=PENDING_CALL,
                sent=headers(Location="The call.", Retry_After="Seconds to wait."),
            ),
            400: _refused("faces", "Expected a list of faces."),
            422: nothing,
        },
        errors=[404, 413, 415],
    )


def _read(
    id: str, summary: str, schema: Fragment, *, parameters: list[Fragment], example: Any
) -> Fragment:
    return operation(
        id,
        summary,
        tag=_TAG,
        scope=_SCOPE,
        parameters=parameters,
        answers={200: answer("As it is now.", schema, example=example, sent=_PENDING_CALLS)},
        errors=[404],
    )


def _faces_read(id: str, summary: str, parameters: list[Fragment]) -> Fragment:
    return operation(
        id,
        summary,
        tag=_TAG,
        scope=_SCOPE,
        parameters=[*parameters, *_PAGE],
        answers={
            200: answer(
                "The faces, in the order in which they came.",
                list_of(named("GalleryFace")),
                example=[ONE_FACE],
                sent={**_PENDING_CALLS, **headers(Link="The next page, if there may be one.")},
            ),
            400: _refused("after", "A number up to 1000 is required."),
        },
        errors=[404],
    )


_CHANGED: Final = answer("What changed.", named("Changes"), example=CHANGES, sent=_OF_CALL)
_USER: Final = "/recognition/users/{user_id}/"
_ONE_CONTACT: Final = f"{_USER}contacts/{{contact_id}}/"

PATHS: Final[Fragment] = {
    "/recognition/users/": {
        "get": operation(
            "gallery_users",
            "The caller's users",
            tag=_TAG,
            scope=_SCOPE,
            answers={
                200: answer(
                    "Their numbers.",
                    list_of(record({"user_id": INTEGER})),
                    example=[{"user_id": 1}],
                )
            },
        )
    },
    _USER: {
        "get": _read(
            "gallery_user",
            "One user",
            named("GalleryUser"),
            parameters=[_user_id],
            example={
                "user_id": 1,
                "created_at": AT,
                "contacts_count": 1,
                "faces_count": 1,
            },
        ),
        "delete": _call(
            "delete_user", "Delete a user with all faces", done=_CHANGED, parameters=[_user_id]
        ),
    },
    f"{_USER}faces/": {"get": _faces_read("user_faces", "All faces of a user", [_user_id])},
    f"{_USER}recognize/": {
        "post": _call(
            "recognise",
            "Whose face is this, of the user's contacts?",
            description="Also at `…/recognise/`.",
            done=answer(
                "The best contacts.",
                named("Recognised"),
                examples={
                    "known": [{**ONE_FACE, "recognition_confidence": 0.98, "distance": 0.3}],
                    "unknown": [],
                    "no face": None,
                },
                sent=_OF_CALL,
            ),
            parameters=[_user_id],
            body=_PROBE_BODY,
        )
    },
    f"{_USER}contacts/": {
        "get": _read(
            "contacts",
            "A user's contacts",
            list_of(named("Contact")),
            parameters=[_user_id],
            example=[ONE_CONTACT],
        )
    },
    _ONE_CONTACT: {
        "get": _read(
            "contact",
            "One contact",
            named("Contact"),
            parameters=_CONTACT_PATH,
            example=ONE_CONTACT,
        ),
        "patch": _call(
            "rename_contact",
            "Rename a contact",
            done=answer("The contact.", named("Contact"), example=ONE_CONTACT, sent=_OF_CALL),
            parameters=_CONTACT_PATH,
            body=json_body(record({"name": TEXT}), example={"name": "Ann"}),
        ),
        "delete": _call(
            "delete_contact",
            "Delete a contact with its faces",
            done=_CHANGED,
            parameters=_CONTACT_PATH,
        ),
    },
    f"{_ONE_CONTACT}merge/": {
        "post": _call(
            "merge_contacts",
            "Make all faces of another contact this one's",
            done=_CHANGED,
            parameters=_CONTACT_PATH,
            body=json_body(record({"from_contact_id": NUMBER_64}), example={"from_contact_id": 8}),
        )
    },
    f"{_ONE_CONTACT}faces/": {
        "get": _faces_read("contact_faces", "A contact's faces", _CONTACT_PATH),
        "post": _call(
            "add_faces",
            "Enrol faces of a contact",
            done=_CHANGED,
            parameters=_CONTACT_PATH,
            body=_FACES_BODY,
        ),
        "delete": _call(
            "delete_faces",
            "Delete faces of a contact",
            done=_CHANGED,
            parameters=_CONTACT_PATH,
            body=_FACES_BODY,
        ),
    },
    f"{_ONE_CONTACT}faces/move/": {
        "post": _call(
            "move_faces",
            "Make faces another contact's",
            done=_CHANGED,
            parameters=_CONTACT_PATH,
            body=json_body(
                record({"faces": list_of(_SENT_FACE), "to_contact_id": NUMBER_64}),
                example={"faces": [{"face_id": 70}], "to_contact_id": 8},
            ),
        )
    },
    f"{_ONE_CONTACT}faces/{{face_id}}/": {
        "get": _read(
            "gallery_face",
            "One face",
            named("GalleryFace"),
            parameters=[*_CONTACT_PATH, _face_id],
            example=ONE_FACE,
        ),
        "delete": _call(
            "delete_face",
            "Delete one face",
            done=_CHANGED,
            parameters=[*_CONTACT_PATH, _face_id],
        ),
    },
    "/recognition/operations/{id}/": {
        "get": operation(
            "recognition_operation",
            "How a call is going",
            tag=_TAG,
            scope=_SCOPE,
            parameters=[path("id", UUID, OPERATION_ID)],
            answers={200: answer("The call.", named("Call"), example=PENDING_CALL)},
            errors=[404],
        )
    },
    f"{_USER}answers/{{answer_id}}/feedback/": {
        "post": operation(
            "feedback",
            "Was an answer right?",
            tag=_TAG,
            scope=_SCOPE,
            parameters=[_user_id, path("answer_id", UUID, OPERATION_ID)],
            body=json_body(
                {
                    "oneOf": [
                        record({"right": FLAG}),
                        record({"contact_id": maybe(INTEGER)}),
                    ]
                },
                example={"contact_id": 7},
            ),
            answers={
                200: answer(
                    "It is noted.",
                    named("Feedback"),
                    example={
                        "answer_id": OPERATION_ID,
                        "right": True,
                        "named": 7,
                        "truth_known": True,
                        "truth": 7,
                    },
                ),
                400: _refused("contact_id", "The user has no such contact."),
            },
            errors=[404, 415],
        )
    },
    f"{_USER}quality/": {
        "get": _read(
            "recognition_quality",
            "How often answers were right, by the feedback",
            named("RecognitionQuality"),
            parameters=[_user_id],
            example={
                "answers": 10,
                "right": 9,
                "wrong": 1,
                "of_unknown_people": 0,
                "precision": SHARE,
                "recall": SHARE,
                "at": [{"threshold": 0.9, "precision": SHARE, "recall": SHARE}],
            },
        )
    },
    f"{_USER}reembedding/": {
        "get": _read(
            "reembedding",
            "How far a gallery is on its way to the present model",
            named("Reembedding"),
            parameters=[_user_id],
            example={
                "model": "dlib",
                "faces": 1,
                "done": 1,
                "unobtainable": [],
                "switched_at": None,
            },
        )
    },
    f"{_USER}export/": {
        "get": operation(
            "export_user",
            "A user as JSON Lines",
            tag=_TAG,
            scope=_SCOPE,
            parameters=[_user_id, query("compress", {"enum": ["gzip"]}, "Compressed.")],
            answers={
                200: answer(
                    "The user.", FILE, media_types=["application/jsonl", "application/gzip"]
                ),
                400: _refused("compress", "Only gzip is known."),
            },
            errors=[404],
        )
    },
    f"{_USER}import/": {
        "post": operation(
            "import_user",
            "Store an exported user",
            tag=_TAG,
            scope=_SCOPE,
            parameters=[_user_id],
            body={
                "required": True,
                "content": {"multipart/form-data": {"schema": record({"file": FILE})}},
            },
            answers={
                201: answer(
                    "Stored.",
                    record({"contacts": COUNT, "faces": COUNT}),
                    example={"contacts": 1, "faces": 1},
                ),
                400: _refused("file", "Send one exported user."),
                409: answer(
                    "There is something already.",
                    named("Detail"),
                    example={"detail": "The user has faces already, or calls that have not ended."},
                ),
            },
            errors=[404, 413, 415],
        )
    },
    "/recognition/search/": {
        "post": operation(
            "search",
            "Whose face is this, of all contacts of all users?",
            tag=_TAG,
            scope=_SCOPE,
            body={
                "required": True,
                "content": {
                    "application/json": {
                        "schema": record(
                            {"image": _IMAGE, "encoding": ENCODING, "limit": COUNT},
                            optional=["image", "encoding", "limit"],
                        ),
                        "example": {"image": "/9j/4AAQ…", "limit": 3},
                    },
                    "multipart/form-data": {
                        "schema": record({"image": FILE, "limit": TEXT}, optional=["limit"])
                    },
                },
            },
            answers={
                200: answer(
                    "The best matches; null: there is no face in the image.",
                    record({"matches": maybe(list_of(named("GalleryFace")))}),
                    example={"matches": []},
                ),
                400: _refused("image", "Send an image, or an encoding."),
                422: answer("Not an image.", named("Detail"), example={"detail": "…"}),
            },
            errors=[413, 415],
        )
    },
}
