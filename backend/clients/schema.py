"""What the API description says of clients."""

from typing import Final

from backend.common.openapi_by_hand import (
    COUNT,
    FLAG,
    TEXT,
    URL,
    Fragment,
    answer,
    list_of,
    maybe,
    named,
    one_of_words,
    operation,
    record,
)

_EXAMPLE: Final = {
    "name": "shop",
    "scopes": ["read", "upload"],
    "stored_bytes": 1048576,
    "quota_bytes": None,
    "feed_url": "wss://faces.example/faces?token=eyJhbGciOiJIUzI1NiJ9.e30.MA",
    "erasing": False,
}

SCHEMAS: Final[Fragment] = {
    "Client": record(
        {
            "name": TEXT,
            "scopes": list_of(one_of_words("admin", "operate", "read", "recognise", "upload")),
            "stored_bytes": COUNT,
            "quota_bytes": maybe(COUNT),
            "feed_url": {**URL, "description": "Where its events are told; ends after a while."},
            "erasing": {**FLAG, "description": "Whether all of its data is being erased."},
        }
    )
}

PATHS: Final[Fragment] = {
    "/client/": {
        "get": operation(
            "client",
            "Who am I, and how much of mine is stored?",
            tag="Client",
            scope="read",
            answers={200: answer("The caller's client.", named("Client"), example=_EXAMPLE)},
        ),
        "delete": operation(
            "client_erase",
            "Erase everything of mine",
            tag="Client",
            description="Rows, files, analyses, events, jobs. Uploads are refused until it is done;"
            " `erasing` of `GET /client/` tells.",
            scope="admin",
            answers={
                202: answer("It has begun.", named("Client"), example={**_EXAMPLE, "erasing": True})
            },
        ),
    }
}
