"""The protocol between the service and the Lambda function.

The service invokes the function with a `Payload`. For each of its sources the function POSTs a
`Callback` to `callback_path(...)` below `api_url`. The contract fixes the required keys; the others
are sent only if the other side announced them in `accepts`, so old versions of both work together.

The readers take any parsed JSON and raise `ShapeError`. Its message may be shown: it names the
place and repeats nothing of what was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NotRequired, TypedDict
from urllib.parse import urlsplit

from wire.events import ROTATIONS, BoxShape

DIMENSIONS: Final = 128
"""Numbers of an encoding."""

MAX_ENCODINGS: Final = 1000
"""Faces of one source: an image holds about as many of the smallest that the detector finds."""

MAX_CALLBACK_BYTES: Final = 4 << 20
"""A callback of `MAX_ENCODINGS` faces has about 3 MB."""

MAX_SOURCES: Final = 1000
"""Sources of one invocation."""

NOT_PROCESSING: Final = "This is not being processed."
"""The `detail` of a 400 for a source that has its result already, or was submitted anew."""

_MAX_NUMBER: Final = 100.0
"""Components of dlib's encodings lie within ±1; squares of much more would not fit float32."""

_MAX_PK: Final = 2**63 - 1
_MAX_TEXT: Final = 500
_MAX_URL: Final = 8000


class ShapeError(ValueError):
    """A document does not have the expected shape. `field` is its top-level key, or empty."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class SourceType(StrEnum):
    """The type of a source; part of the callback's path."""

    PHOTO = "photo"
    REFERENCE = "reference"


class Capability(StrEnum):
    """What a service understands beyond the contract: the words of `Payload["accepts"]`."""

    FACES = "faces"
    """The callback may have `faces` and `model`."""
    ERROR = "error"
    """A source without result is posted too: no encodings, and an `error`."""
    STATUS = "status"
    """GET at the callback's path, `Authorization: Bearer TOKEN`, tells if a result is wanted."""


class SourceShape(TypedDict):
    """One image to process, as the contract has it."""

    pk: int
    type: str
    photo_url: str
    token: str
    detector: NotRequired[str]
    """That the upload named; missing: the function's own."""


class Payload(TypedDict):
    """The event that the function is invoked with."""

    api_url: str
    sources: Sequence[SourceShape]
    accepts: NotRequired[Sequence[str]]


class ExtractedFace(TypedDict):
    """The position and quality of one face."""

    box: BoxShape
    score: float
    size_px: int
    sharpness: float
    yaw: float
    roll: float
    too_poor: str | None
    rotation: NotRequired[int]
    """As `events.EventFace` has it."""


class ExtractionFailure(TypedDict):
    """Why there is no result; `permanent`: no retry with these bytes can succeed."""

    reason: str
    permanent: bool


class Callback(TypedDict):
    """What the function posts for one source: `faces`, if present, in the order of `encodings`."""

    token: str
    encodings: Sequence[Sequence[float]]
    faces: NotRequired[Sequence[ExtractedFace]]
    model: NotRequired[str]
    error: NotRequired[ExtractionFailure]


@dataclass(frozen=True)
class Source:
    """A source as read by the function. Its URL and token are secrets; `repr` leaves them out."""

    pk: int
    type: SourceType
    photo_url: str
    token: str
    detector: str = ""

    def __repr__(self) -> str:
        return f"{self.type}={self.pk}"


@dataclass(frozen=True)
class Invocation:
    """A payload as read by the function. `api_url` ends without a slash."""

    api_url: str
    sources: tuple[Source, ...]
    accepts: frozenset[Capability]


def callback_path(type: str, pk: int) -> str:
    """The path of a source's callback, below `api_url`."""
    return f"/api/facedetection/encodings/{type}/{pk}/"


def build_payload(api_url: str, sources: Sequence[SourceShape]) -> Payload:
    """The event for these sources, from a service with every capability."""
    return {"api_url": api_url.rstrip("/"), "sources": sources, "accepts": list(Capability)}


def read_payload(event: object) -> Invocation:
    """Read the event that the function was invoked with. Unknown keys are ignored."""
    document = _mapping(event, "")
    api_url = _url(document.get("api_url"), "api_url").rstrip("/")
    sources = _list(document.get("sources"), "sources")
    if not 1 <= len(sources) <= MAX_SOURCES:
        raise ShapeError("sources", f"1 to {MAX_SOURCES} are expected, not {len(sources)}.")
    words = _list(document.get("accepts", []), "accepts")
    accepts = frozenset(each for each in Capability if each in words)
    read = tuple(_source(each, f"sources[{n}]") for n, each in enumerate(sources))
    return Invocation(api_url, read, accepts)


def read_callback(body: object) -> Callback:
    """Read the body of a callback. Unknown keys are dropped: a newer function may send some."""
    document = _mapping(body, "")
    read: Callback = {
        "token": _text(document.get("token"), "token"),
        "encodings": _encodings(document.get("encodings")),
    }
    if "faces" in document:
        read["faces"] = _faces(document["faces"], len(read["encodings"]))
    if "model" in document:
        read["model"] = _text(document["model"], "model")
    if "error" in document:
        read["error"] = _failure(document["error"])
    return read


def _source(value: object, place: str) -> Source:
    document = _mapping(value, place)
    if document.get("type") not in tuple(SourceType):
        raise ShapeError(f"{place}.type", 'Either "photo" or "reference" is expected.')
    return Source(
        pk=_whole(document.get("pk"), f"{place}.pk", at_most=_MAX_PK),
        type=SourceType(document["type"]),
        photo_url=_url(document.get("photo_url"), f"{place}.photo_url"),
        token=_text(document.get("token"), f"{place}.token"),
        detector=_text(document["detector"], f"{place}.detector") if "detector" in document else "",
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


def _faces(value: object, count: int) -> list[ExtractedFace]:
    faces = _list(value, "faces")
    if len(faces) != count:
        raise ShapeError("faces", "There must be one for each encoding.")
    return [_face(_mapping(each, "faces")) for each in faces]


def _face(face: Mapping[str, Any]) -> ExtractedFace:
    box = _mapping(face.get("box"), "faces")
    too_poor = face.get("too_poor")
    read: ExtractedFace = {
        "box": BoxShape(
            top=_pixels(box.get("top")),
            right=_pixels(box.get("right")),
            bottom=_pixels(box.get("bottom")),
            left=_pixels(box.get("left")),
        ),
        "score": _number(face.get("score"), "faces", at_most=1e6),
        "size_px": _pixels(face.get("size_px")),
        "sharpness": _number(face.get("sharpness"), "faces", at_most=1e6),
        "yaw": _number(face.get("yaw"), "faces", at_most=360),
        "roll": _number(face.get("roll"), "faces", at_most=360),
        "too_poor": None if too_poor is None else _text(too_poor, "faces")[:20],
    }
    if "rotation" in face:
        read["rotation"] = _rotation(face["rotation"])
    return read


def _rotation(value: object) -> int:
    rotation = _whole(value, "faces", at_most=270)
    if rotation not in ROTATIONS:
        raise ShapeError("faces", f"A rotation is one of {ROTATIONS}.")
    return rotation


def _failure(value: object) -> ExtractionFailure:
    failure = _mapping(value, "error")
    permanent = failure.get("permanent")
    if not isinstance(permanent, bool):
        raise ShapeError("error", '"permanent" is true or false.')
    return {"reason": _text(failure.get("reason"), "error"), "permanent": permanent}


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
    """An absolute http or https URL that fits into a header line."""
    text = value if isinstance(value, str) and len(value) <= _MAX_URL else ""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or not text.isprintable() or " " in text:
        raise ShapeError(place, "An absolute http or https URL is expected.")
    return text


def _pixels(value: object) -> int:
    return _whole(value, "faces", at_most=2**31 - 1)


def _whole(value: object, place: str, *, at_most: int) -> int:
    if type(value) is not int or not 0 <= value <= at_most:
        raise ShapeError(place, "A whole number is expected.")
    return value


def _number(value: object, place: str, *, at_most: float) -> float:
    # bool is an int to Python; NaN fails the comparison, a whole number of any size does not.
    if type(value) not in (int, float) or not abs(value) <= at_most:  # type: ignore[arg-type]
        raise ShapeError(place, "A finite number of the usual size is expected.")
    return float(value)  # type: ignore[arg-type]
