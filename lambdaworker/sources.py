"""One source: is it still wanted, download, find its faces, post them to the service."""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from threading import BoundedSemaphore
from typing import IO, Final, TypeVar

import faceengine
from lambdaworker.options import Options
from safe_http import Answer, Client, Download, FetchError, NotAnImage
from wire.facedetection import (
    MAX_ENCODINGS,
    NOT_PROCESSING,
    Callback,
    Capability,
    ExtractedFace,
    ExtractionFailure,
    Invocation,
    Source,
    callback_path,
)

logger = logging.getLogger(__name__)

NO_TIME: Final = "No time was left for it."

_AUTO: Final = ("yunet", "hog")
"""The preferences of the detector `auto`."""

T = TypeVar("T")


class Ended(StrEnum):
    """The outcome of a source."""

    DONE = "done"
    NOT_WANTED = "not_wanted"
    """The service has its result, or waits for another invocation's."""
    FAILED = "failed"
    """For good, as far as this function knows."""
    LEFT = "left"
    """Another invocation may do better."""


@dataclass(frozen=True)
class Outcome:
    """The result for a source; `reason` is a sentence without URLs or tokens."""

    source: Source
    ended: Ended
    reason: str = ""
    faces: int = 0


@dataclass
class Batch:
    """Shared by the sources of an invocation."""

    invocation: Invocation
    options: Options
    client: Client
    engines: BoundedSemaphore
    ends_at: float
    """By the monotonic clock: when the function must end."""
    slowest_s: float = 0.0
    """Of the images so far: none is begun that may take longer than the time left."""

    def left_s(self) -> float:
        """Seconds until the function must end."""
        return self.ends_at - time.monotonic()


def handle(source: Source, batch: Batch) -> Outcome:
    """The outcome of one source; its errors do not reach the other sources."""
    began = time.monotonic()
    try:
        outcome = _handle(source, batch)
    except FetchError as error:
        outcome = Outcome(source, Ended.FAILED if error.permanent else Ended.LEFT, str(error))
    except Exception:  # the edge: a fault of ours must not cost the others
        logger.exception("failed %r", source)
        outcome = Outcome(source, Ended.LEFT, "The function failed.")
    _log(outcome, time.monotonic() - began)
    return outcome


def _log(outcome: Outcome, took_s: float) -> None:
    level = logging.WARNING if outcome.reason else logging.INFO
    text = "%s %r faces=%d ms=%d %s"
    values = (outcome.ended, outcome.source, outcome.faces, took_s * 1000, outcome.reason)
    logger.log(level, text, *values)


def _handle(source: Source, batch: Batch) -> Outcome:
    if batch.left_s() <= 0:
        return Outcome(source, Ended.LEFT, NO_TIME)
    if Capability.STATUS in batch.invocation.accepts and (reason := _why_not_wanted(source, batch)):
        return Outcome(source, Ended.NOT_WANTED, reason)
    try:
        faces = _faces(source, batch)
    except (NotAnImage, faceengine.ImageError) as error:
        return _failed(source, batch, str(error), permanent=True)
    except FetchError as error:
        if not error.permanent:
            raise
        return _failed(source, batch, str(error), permanent=False)
    wanted = _post(source, batch, _callback(source, batch, faces))
    return Outcome(source, Ended.DONE if wanted else Ended.NOT_WANTED, faces=len(faces))


def _failed(source: Source, batch: Batch, reason: str, *, permanent: bool) -> Outcome:
    """Post the failure, if the service understands one.

    An older service submits the source again after seven hours. "No faces" is no substitute: it
    would be recorded as the result.
    """
    if Capability.ERROR in batch.invocation.accepts:
        error = ExtractionFailure(reason=reason, permanent=permanent)
        callback: Callback = {"token": source.token, "encodings": [], "error": error}
        if not _post(source, batch, callback):
            return Outcome(source, Ended.NOT_WANTED, reason)
    return Outcome(source, Ended.FAILED, reason)


def _faces(source: Source, batch: Batch) -> Sequence[faceengine.Face]:
    with ExitStack() as stack:
        photo = stack.enter_context(retried(batch, lambda: _download(source, batch)))
        stack.enter_context(batch.engines)
        if batch.left_s() <= batch.slowest_s:
            raise FetchError(NO_TIME, permanent=False)
        began = time.monotonic()
        found = _found(photo.file, source, batch.options)
        batch.slowest_s = max(batch.slowest_s, time.monotonic() - began)
        return found


def _download(source: Source, batch: Batch) -> Download:
    time_s = min(batch.options.download_timeout_s, batch.left_s())
    return batch.client.fetch(source.photo_url, timeout_s=time_s)


def _found(file: IO[bytes], source: Source, options: Options) -> Sequence[faceengine.Face]:
    found = faceengine.find_faces(
        file,  # type: ignore[arg-type]
        usable(source.detector, options.detector),
        max_pixels=options.max_pixels,
        max_detection_pixels=options.max_detection_pixels,
    )
    return found[:MAX_ENCODINGS]


def usable(*wanted: str) -> faceengine.Detector:
    """The first of these detectors whose weights are here. `auto` is yunet, else hog.

    A source may name one that this function lacks: no reason to have no result. Raises
    `ValueError` if there is none.
    """
    names = [name for each in wanted for name in (_AUTO if each == "auto" else (each,))]
    for name in names:
        for known in faceengine.DETECTORS:
            if known == name and faceengine.is_available(known):
                return known
    raise ValueError(f"There is no detector {wanted[-1]!r}, or its weights are missing.")


def retried(batch: Batch, work: Callable[[], T]) -> T:
    """Retry `work` with exponential backoff and full jitter, as long as a retry may help.

    Without jitter all functions would return to an overloaded server at once
    (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    """
    for attempt in range(1, batch.options.attempts + 1):
        try:
            return work()
        except FetchError as error:
            most_s = batch.options.retry_delay_s * 2**attempt
            pause_s = max(error.retry_after_s, random.uniform(0, most_s))
            if error.permanent or attempt == batch.options.attempts or pause_s >= batch.left_s():
                raise
            time.sleep(pause_s)
    raise AssertionError("unreachable")


# --- the service


def _why_not_wanted(source: Source, batch: Batch) -> str:
    """Ask before the work. If the service does not answer, the callback decides."""
    headers = {"Authorization": f"Bearer {source.token}"}
    try:
        answer = _ask_service(source, batch, "GET", headers)
    except FetchError as error:
        if error.permanent:
            raise
        return ""
    if answer.status in (403, 404) or (answer.status == 400 and _is_not_processing(answer.body)):
        return f"The service answered {answer.status}: {_detail(answer.body)}"
    return ""


def _callback(source: Source, batch: Batch, faces: Sequence[faceengine.Face]) -> Callback:
    encodings = [face.encoding.tolist() for face in faces if face.encoding is not None]
    callback: Callback = {"token": source.token, "encodings": encodings}
    if Capability.FACES in batch.invocation.accepts:
        callback["faces"] = [_face(face) for face in faces]
        callback["model"] = faceengine.MODEL
    return callback


def _face(face: faceengine.Face) -> ExtractedFace:
    top, right, bottom, left = face.box
    extracted: ExtractedFace = {
        "box": {"top": top, "right": right, "bottom": bottom, "left": left},
        "score": face.quality.score,
        "size_px": face.quality.size_px,
        "sharpness": face.quality.sharpness,
        "yaw": face.quality.pose.yaw,
        "roll": face.quality.pose.roll,
        "too_poor": face.quality.reason,
    }
    if face.rotation:
        extracted["rotation"] = face.rotation
    return extracted


def _post(source: Source, batch: Batch, callback: Callback) -> bool:
    """Whether the service recorded it; False if it does not wait for it (any more)."""
    body = json.dumps(callback, allow_nan=False).encode()
    return retried(batch, lambda: _post_once(source, batch, body))


def _post_once(source: Source, batch: Batch, body: bytes) -> bool:
    headers = {"Content-Type": "application/json"}
    answer = _ask_service(source, batch, "POST", headers, body)
    if answer.status in (200, 201, 202, 204):
        return True
    # An older service words "not processing" in its own way, but names the key of a bad body.
    is_new = Capability.STATUS in batch.invocation.accepts
    not_processing = _is_not_processing(answer.body) if is_new else not _is_of_body(answer.body)
    if answer.status == 400 and not_processing:
        return False
    raise answer.failure("The service")


def _ask_service(
    source: Source,
    batch: Batch,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Answer:
    url = batch.invocation.api_url + callback_path(source.type, source.pk)
    time_s = min(batch.options.callback_timeout_s, batch.left_s())
    return batch.client.request(method, url, timeout_s=time_s, headers=headers, body=body)


def _is_of_body(text: bytes) -> bool:
    """Whether a 400 names a key of the body: the body was bad."""
    return bool(_document(text).keys() & set(Callback.__annotations__))


def _is_not_processing(text: bytes) -> bool:
    return _detail(text) == NOT_PROCESSING


def _detail(text: bytes) -> str:
    """The reason of a refusal; the service repeats nothing of the request in it."""
    return str(_document(text).get("detail", ""))[:100]


def _document(text: bytes) -> dict[str, object]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
