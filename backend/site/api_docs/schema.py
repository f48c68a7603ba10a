"""What the API description says of itself."""

from typing import Final

from backend.common.openapi_by_hand import Fragment, answer, operation, query

SCHEMAS: Final[Fragment] = {}

_ANY: Final = {"type": "object"}

PATHS: Final[Fragment] = {
    "/api/schema/": {
        "get": operation(
            "schema",
            "This document",
            tag="Service",
            parameters=[
                query("format", {"enum": ["json", "yaml"]}, "Instead of the Accept header.")
            ],
            answers={
                200: answer(
                    "OpenAPI 3.1.", _ANY, media_types=["application/json", "application/yaml"]
                )
            },
            errors=[404, 405, 406],
        )
    },
    "/api/asyncapi.json": {
        "get": operation(
            "asyncapi",
            "The websocket `/faces`, its frames and close codes",
            tag="Service",
            answers={200: answer("AsyncAPI 3.0.", _ANY)},
            errors=[405],
        )
    },
}
