"""What the service sends to the Lambda function, and what comes back: both sides import this.

The service invokes the function with a `Payload`. For each of its sources the function POSTs a
`Callback` to `callback_path(...)` at `api_url`. An old function or an old service knows the
contract's keys alone: what is beyond them is sent only to who asked for it in `accepts`.

Every reader here takes a parsed JSON document of whoever and raises `ShapeError`, whose message may
be shown: it names the place and holds nothing of what was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NotRequired, TypedDict
from urllib.parse import urlsplit

from wire.events import BoxShape

DIMENSIONS: Final = 128
"""Numbers of an encoding."""

MAX_ENCODINGS: Final = 1000
"""Faces of one source: the smallest that the detector finds fit about so often into an image."""

MAX_CALLBACK_BYTES: Final = 4 << 20
"""A callback of `MAX_ENCODINGS` faces has about 3 MB."""

MAX_SOURCES: Final = 1000
"""Sources of one invocation."""

NOT_PROCESSING: Final = "This is not being processed."
"""The `detail` of a 400 for a source whose result nobody waits for (any more)."""

_MAX_NUMBER: Final = 100.0
"""Components of dlib's encodings lie within ±1; squares of much more would not fit float32."""

_MAX_PK: Final = 2**63 - 1
_MAX_TEXT: Final = 500
_MAX_URL: Final = 8000


class ShapeError(ValueError):
    """A document is not what it should be. `field` is the key at the top of it, or empty."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class SourceType(StrEnum):
    """What a source is; part of the callback's address."""

    PHOTO = "photo"
    REFERENCE = "reference"


class Extra(StrEnum):
    """What a service may understand beyond the contract: the words of `Payload["accepts"]`."""

    FACES = "faces"
    """The callback may have `faces` and `model`."""
    ERROR = "error"
    """A source without result is posted too: no encodings, and an `error`."""
    STATUS = "status"
    """GET at the callback's address, `Authorization: Bearer TOKEN`, says if a result is wanted."""


class SourceShape(TypedDict):
    """One picture to be looked at, as the contract has it."""

    pk: int
    type: str
    photo_url: str
    token: str


class Payload(TypedDict):
    """The event that the function is invoked with."""

    api_url: str
    sources: Sequence[SourceShape]
    accepts: NotRequired[Sequence[str]]


class FaceShape(TypedDict):
    """Where a face is, and how good it is to recognise a person by."""

    box: BoxShape
    score: float
    size_px: int
    sharpness: float
    yaw: float
    roll: float
    too_poor: str | None


class ErrorShape(TypedDict):
    """Why there is no result; `permanent`: not for these bytes, however often it is tried."""

    reason: str
    permanent: bool


class Callback(TypedDict):
    """What the function posts for one source: `faces`, if there, in the order of `encodings`."""

    token: str
    encodings: Sequence[Sequence[float]]
    faces: NotRequired[Sequence[FaceShape]]
    model: NotRequired[str]
    error: NotRequired[ErrorShape]


@dataclass(frozen=True)
class Source:
    """A source as read from an event. Its address and its token open doors: not for logs."""

    pk: int
    type: SourceType
    photo_url: str
    token: str

    def __repr__(self) -> str:
        return f"{self.type}={self.pk}"


@dataclass(frozen=True)
class Event:
    """A read event. `api_url` ends without a slash."""

    api_url: str
    sources: tuple[Source, ...]
    accepts: frozenset[Extra]


def callback_path(type: str, pk: int) -> str:
    """The address of a source's callback, below `api_url`."""
    return f"/api/facedetection/encodings/{type}/{pk}/"


def build_source(*, pk: int, type: SourceType, photo_url: str, token: str) -> SourceShape:
    """One entry of a payload's `sources`."""
    return {"pk": pk, "type": str(type), "photo_url": photo_url, "token": token}


def build_payload(api_url: str, sources: Sequence[SourceShape]) -> Payload:
    """The event for these sources, from a service that understands every extra."""
    return {
        "api_url": api_url.rstrip("/"),
        "sources": sources,
        "accepts": [str(extra) for extra in Extra],
    }


def read_event(event: object) -> Event:
    """The event as the function was invoked with it. Unknown keys are left alone."""
    known = _mapping(event, "")
    api_url = _url(known.get("api_url"), "api_url").rstrip("/")
    sources = _list(known.get("sources"), "sources")
    if not 1 <= len(sources) <= MAX_SOURCES:
        raise ShapeError("sources", f"1 to {MAX_SOURCES} are expected, not {len(sources)}.")
    words = _list(known.get("accepts", []), "accepts")
    accepts = frozenset(extra for extra in Extra if extra in words)
    read = tuple(_source(each, f"sources[{n}]") for n, each in enumerate(sources))
    return Event(api_url, read, accepts)


def read_callback(body: object) -> Callback:
    """The body of a callback. Unknown keys are dropped: a newer function may send some."""
    known = _mapping(body, "")
    read: Callback = {
        "token": _text(known.get("token"), "token"),
        "encodings": _encodings(known.get("encodings")),
    }
    if "faces" in known:
        read["faces"] = _faces(known["faces"], len(read["encodings"]))
    if "model" in known:
        read["model"] = _text(known["model"], "model")
    if "error" in known:
        read["error"] = _error(known["error"])
    return read


def _source(value: object, place: str) -> Source:
    known = _mapping(value, place)
    type = known.get("type")
    if type not in tuple(SourceType):
        raise ShapeError(f"{place}.type", 'Either "photo" or "reference" is expected.')
    return Source(
        pk=_whole(known.get("pk"), f"{place}.pk", at_least=0, at_most=_MAX_PK),
        type=SourceType(type),
        photo_url=_url(known.get("photo_url"), f"{place}.photo_url"),
        token=_text(known.get("token"), f"{place}.token"),
    )


def _encodings(value: object) -> list[list[float]]:
    encodings = _list(value, "encodings")
    if len(encodings) > MAX_ENCODINGS:
        raise ShapeError("encodings", f"At most {MAX_ENCODINGS} are allowed.")
    return [_encoding(each) for each in encodings]


def _encoding(value: object) -> list[float]:
    numbers = _list(value, "encodings")
    if len(numbers) != DIMENSIONS:
        raise ShapeError("encodings", f"Each is a list of {DIMENSIONS} numbers.")
    return [_number(each, "encodings", at_most=_MAX_NUMBER) for each in numbers]


def _faces(value: object, count: int) -> list[FaceShape]:
    faces = _list(value, "faces")
    if len(faces) != count:
        raise ShapeError("faces", "There must be one for each encoding.")
    return [_face(_mapping(each, "faces")) for each in faces]


def _face(known: Mapping[str, Any]) -> FaceShape:
    box = _mapping(known.get("box"), "faces")
    poor = known.get("too_poor")
    return {
        "box": {
            "top": _pixels(box.get("top")),
            "right": _pixels(box.get("right")),
            "bottom": _pixels(box.get("bottom")),
            "left": _pixels(box.get("left")),
        },
        "score": _number(known.get("score"), "faces", at_most=1e6),
        "size_px": _pixels(known.get("size_px")),
        "sharpness": _number(known.get("sharpness"), "faces", at_most=1e6),
        "yaw": _number(known.get("yaw"), "faces", at_most=360),
        "roll": _number(known.get("roll"), "faces", at_most=360),
        "too_poor": None if poor is None else _text(poor, "faces")[:20],
    }


def _error(value: object) -> ErrorShape:
    known = _mapping(value, "error")
    permanent = known.get("permanent")
    if not isinstance(permanent, bool):
        raise ShapeError("error", '"permanent" is true or false.')
    return {"reason": _text(known.get("reason"), "error"), "permanent": permanent}


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ShapeError(place, "A JSON object is expected.")
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise ShapeError(place, "A list is expected.")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise ShapeError(place, f"Text of 1 to {_MAX_TEXT} printable characters is expected.")
    return value


def _url(value: object, place: str) -> str:
    """An absolute http or https address that a header line can hold."""
    plain = isinstance(value, str) and 0 < len(value) <= _MAX_URL and value.isprintable()
    if not plain or " " in str(value):
        raise ShapeError(place, "A URL is expected.")
    try:
        parts = urlsplit(str(value))
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ShapeError(place, "An absolute http or https URL is expected.")
    return str(value)


def _pixels(value: object) -> int:
    return _whole(value, "faces", at_least=0, at_most=2**31 - 1)


def _whole(value: object, place: str, *, at_least: int, at_most: int) -> int:
    if type(value) is not int or not at_least <= value <= at_most:
        raise ShapeError(place, "A whole number is expected.")
    return value


def _number(value: object, place: str, *, at_most: float) -> float:
    # bool is an int to Python; NaN fails the comparison, a whole number of any size does not.
    if type(value) not in (int, float) or not abs(value) <= at_most:  # type: ignore[arg-type]
        raise ShapeError(place, "A finite number of the usual size is expected.")
    return float(value)  # type: ignore[arg-type]
