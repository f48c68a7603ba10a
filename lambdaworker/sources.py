"""One source, the whole way: is it still wanted, download, find its faces, tell the service."""

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore
from typing import IO, Final, TypeVar
from urllib.parse import urlsplit

import httpcore

import faceengine
from lambdaworker import web
from lambdaworker.options import Options
from lambdaworker.web import Web, WebError
from wire.facedetection import (
    MAX_ENCODINGS,
    NOT_PROCESSING,
    Callback,
    ErrorShape,
    Event,
    Extra,
    FaceShape,
    Source,
    callback_path,
)

logger = logging.getLogger(__name__)

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS: Final = 3
_IN_MEMORY_BYTES: Final = 2 << 20
"""A larger download goes to /tmp, which is not counted as the function's memory."""

_MAX_ANSWER_BYTES: Final = 2000

NO_TIME: Final = "No time was left for it."

T = TypeVar("T")


class Ended(StrEnum):
    """How a source ended."""

    DONE = "done"
    NOT_WANTED = "not_wanted"
    """The service has its result, or waits for another invocation's."""
    FAILED = "failed"
    """For good, as far as this function knows."""
    LEFT = "left"
    """Another invocation may do better."""


@dataclass(frozen=True)
class Outcome:
    """What became of a source; `reason` is a sentence without addresses or tokens."""

    source: Source
    ended: Ended
    reason: str = ""
    faces: int = 0


@dataclass
class Pace:
    """How fast this invocation is: an image is not begun that would be cut off by the limit."""

    slowest_s: float = 0.0


@dataclass(frozen=True)
class Batch:
    """What the sources of an invocation share."""

    event: Event
    options: Options
    web: Web
    engines: BoundedSemaphore
    left_s: Callable[[], float]
    """Until the function has to be through."""
    pace: Pace = field(default_factory=Pace)


def handle(source: Source, batch: Batch) -> Outcome:
    """Whatever goes wrong with one source is its outcome and no other's."""
    began = time.monotonic()
    try:
        with web.within(batch.left_s()):
            outcome = _handle(source, batch)
    except WebError as error:
        outcome = Outcome(source, Ended.FAILED if error.permanent else Ended.LEFT, str(error))
    except Exception:  # the edge: a fault of ours must not cost the others
        logger.exception("failed %r", source)
        outcome = Outcome(source, Ended.LEFT, "The function failed.")
    _log(outcome, time.monotonic() - began)
    return outcome


def _log(outcome: Outcome, took_s: float) -> None:
    level = logging.WARNING if outcome.reason else logging.INFO
    text = "%s %r faces=%d ms=%d %s"
    told = (outcome.ended, outcome.source, outcome.faces, took_s * 1000, outcome.reason)
    logger.log(level, text, *told)


def _handle(source: Source, batch: Batch) -> Outcome:
    if batch.left_s() <= 0:
        return Outcome(source, Ended.LEFT, NO_TIME)
    if Extra.STATUS in batch.event.accepts and (reason := _why_not_wanted(source, batch)):
        return Outcome(source, Ended.NOT_WANTED, reason)
    try:
        faces = _faces(source, batch)
    except WebError as error:
        if not error.permanent:
            raise
        return _failed(source, batch, str(error), permanent=False)
    except faceengine.ImageError as error:
        return _failed(source, batch, str(error), permanent=True)
    wanted = _post(source, batch, _callback(source, batch, faces))
    return Outcome(source, Ended.DONE if wanted else Ended.NOT_WANTED, faces=len(faces))


def _failed(source: Source, batch: Batch, reason: str, *, permanent: bool) -> Outcome:
    """Tell who would like to know: another service waits in vain for seven hours, then asks again.

    It is not told "no faces" instead, for that would be believed.
    """
    if Extra.ERROR in batch.event.accepts:
        error = ErrorShape(reason=reason, permanent=permanent)
        callback: Callback = {"token": source.token, "encodings": [], "error": error}
        if not _post(source, batch, callback):
            return Outcome(source, Ended.NOT_WANTED, reason)
    return Outcome(source, Ended.FAILED, reason)


def _faces(source: Source, batch: Batch) -> Sequence[faceengine.Face]:
    with ExitStack() as stack:
        file = stack.enter_context(again(batch, lambda: _download(source, batch)))
        stack.enter_context(batch.engines)
        if batch.left_s() <= batch.pace.slowest_s:
            raise WebError(NO_TIME, permanent=False)
        began = time.monotonic()
        found = _found(file, batch.options)
        batch.pace.slowest_s = max(batch.pace.slowest_s, time.monotonic() - began)
        return found


def _found(file: IO[bytes], options: Options) -> Sequence[faceengine.Face]:
    found = faceengine.find_faces(
        file,  # type: ignore[arg-type]
        options.detector,  # type: ignore[arg-type]
        max_pixels=options.max_pixels,
        max_detection_pixels=options.max_detection_pixels,
    )
    return found[:MAX_ENCODINGS]


def again(batch: Batch, work: Callable[[], T]) -> T:
    """`work`, several times if that may help, with growing pauses of random length between.

    Random, for a server that broke down under many functions should not meet them all at once
    again ("full jitter": https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    """
    for attempt in range(1, batch.options.attempts + 1):
        try:
            return work()
        except WebError as error:
            most_s = batch.options.retry_delay_s * 2**attempt
            pause_s = max(error.wait_s, random.uniform(0, most_s))
            if error.permanent or attempt == batch.options.attempts or pause_s >= batch.left_s():
                raise
            time.sleep(pause_s)
    raise AssertionError("unreachable")


# --- the picture


def _download(source: Source, batch: Batch) -> IO[bytes]:
    url, only_public = source.photo_url, False
    with web.within(batch.options.download_timeout_s):
        for _ in range(_MAX_REDIRECTS + 1):
            with batch.web.ask("GET", url, only_public=only_public) as answer:
                if answer.status not in _REDIRECTS:
                    return _received(answer, urlsplit(url).hostname or "-", batch.options)
                only_public = only_public or web.came_from_public(answer)
                url = web.after_redirect(url, answer)
    raise WebError("The photo's address is redirected too often.", permanent=True)


def _received(answer: httpcore.Response, host: str, options: Options) -> IO[bytes]:
    web.check_status(answer, host)
    if web.header(answer, "content-encoding").lower() not in ("", "identity"):
        raise WebError(f"{host} sent the photo encoded, unasked.", permanent=True)
    most = options.max_download_bytes
    size = 0
    with ExitStack() as on_failure:
        file = on_failure.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES))
        for chunk in answer.iter_stream():
            size += len(chunk)
            if size > most:
                raise WebError(f"{host} sent more than {most} bytes.", permanent=True)
            file.write(chunk)
        file.seek(0)
        on_failure.pop_all()
    return file


# --- the service


def _why_not_wanted(source: Source, batch: Batch) -> str:
    """Ask before the work; a service that does not answer is asked again after it."""
    headers = {"Authorization": f"Bearer {source.token}"}
    try:
        with _at_service(source, batch, "GET", headers) as answer:
            body = web.read(answer, at_most=_MAX_ANSWER_BYTES)
    except WebError as error:
        if error.permanent:
            raise
        return ""
    if answer.status in (403, 404) or (answer.status == 400 and _is_not_processing(body)):
        return f"The service answered {answer.status}: {_detail(body)}"
    return ""


def _callback(source: Source, batch: Batch, faces: Sequence[faceengine.Face]) -> Callback:
    encodings = [face.encoding.tolist() for face in faces if face.encoding is not None]
    callback: Callback = {"token": source.token, "encodings": encodings}
    if Extra.FACES in batch.event.accepts:
        callback["faces"] = [_face(face) for face in faces]
        callback["model"] = faceengine.MODEL
    return callback


def _face(face: faceengine.Face) -> FaceShape:
    top, right, bottom, left = face.box
    return {
        "box": {"top": top, "right": right, "bottom": bottom, "left": left},
        "score": face.quality.score,
        "size_px": face.quality.size_px,
        "sharpness": face.quality.sharpness,
        "yaw": face.quality.pose.yaw,
        "roll": face.quality.pose.roll,
        "too_poor": face.quality.reason,
    }


def _post(source: Source, batch: Batch, callback: Callback) -> bool:
    """Whether the service took it; False if it did not wait for it (any more)."""
    body = json.dumps(callback, allow_nan=False).encode()
    return again(batch, lambda: _post_once(source, batch, body))


def _post_once(source: Source, batch: Batch, body: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    with _at_service(source, batch, "POST", headers, body) as answer:
        if answer.status in (200, 201, 202, 204):
            return True
        text = web.read(answer, at_most=_MAX_ANSWER_BYTES)
        # An old service words it as it likes; of a bad body it names the key.
        is_new = Extra.STATUS in batch.event.accepts
        not_processing = _is_not_processing(text) if is_new else not _is_of_the_body(text)
        if answer.status == 400 and not_processing:
            return False
        web.check_status(answer, "The service")
    return True


@contextmanager
def _at_service(
    source: Source, batch: Batch, method: str, headers: dict[str, str], body: bytes | None = None
) -> Iterator[httpcore.Response]:
    url = batch.event.api_url + callback_path(source.type, source.pk)
    with (
        web.within(batch.options.callback_timeout_s),
        batch.web.ask(method, url, headers=headers, body=body) as answer,
    ):
        yield answer


def _is_of_the_body(text: bytes) -> bool:
    """Whether a 400 names a key of the body, which is bad then."""
    return bool(_document(text).keys() & set(Callback.__annotations__))


def _is_not_processing(text: bytes) -> bool:
    return _detail(text) == NOT_PROCESSING


def _detail(text: bytes) -> str:
    """What the service says of a refusal; it repeats nothing of what it was sent."""
    return str(_document(text).get("detail", ""))[:100]


def _document(text: bytes) -> dict[str, object]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
