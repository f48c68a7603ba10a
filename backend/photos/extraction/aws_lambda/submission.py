"""Submission of photos and references to AWS Lambda, in batches; docs/lambda.md has the whole flow.

A source that waits for its faces is in one of these states, by its columns:

    never submitted     `submitted_at` is empty                      due at once
    handed to Lambda    `token_sha256` is that of the token it has   due again after `WAIT`
    failed for now      `submitted_at`, but no token                 due again after a growing pause

The process that changes `submissions` by a conditional update submits the source: two at once
submit it once.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from backend.clients.auth import signed_urls
from backend.common.metrics import registry
from backend.photos.extraction import backends
from backend.photos.extraction.aws_lambda.client import Client, InvokeError, TooLarge
from backend.photos.models import Photo, Reference
from wire.facedetection import SourceShape, SourceType, build_payload

logger = logging.getLogger(__name__)

Source: TypeAlias = Photo | Reference

MODELS: Final[dict[SourceType, type[Any]]] = {
    # References first, because a member waits at the page.
    SourceType.REFERENCE: Reference,
    SourceType.PHOTO: Photo,
}

WAIT: Final = timedelta(hours=7)
"""An asynchronous invocation and its retries are over by then: Lambda keeps an event for at most
6 hours."""

_URL_LIFETIME_S: Final = 10 * 3600
"""Longer than `WAIT`: a function may begin that late, and must find the photo's URL still valid."""

_FIRST_PAUSE: Final = timedelta(minutes=1)
_PAUSES: Final = 7
"""1, 2, 4 … 64 minutes."""

_SWEPT: Final = 1000
"""Sources of one sweep, so that other sweeps are not held up."""

_PAGE: Final = 500

SUBMITTED: Final = registry.counter(
    "faces_lambda_sources_total",
    "Photos and references handed to AWS Lambda, by how that went: submitted, failed; and what came"
    " back: recorded, reported (no result), refused (a callback that was not taken).",
    "outcome",
)

Progress = Callable[[int], object]
"""Called with the number of sources processed since the last call."""


@dataclass(frozen=True)
class SubmissionReport:
    """The outcome of a round of submissions."""

    sources: int = 0
    invocations: int = 0
    failed: int = 0
    error: str = ""

    def __add__(self, other: SubmissionReport) -> SubmissionReport:
        return SubmissionReport(
            self.sources + other.sources,
            self.invocations + other.invocations,
            self.failed + other.failed,
            other.error or self.error,
        )


@dataclass(frozen=True)
class _Claimed:
    """A source that this process alone may submit, and its new token."""

    source: Source
    token: str


def submit(sources: Sequence[Source]) -> int:
    """Submit these, now or with the next sweep; returns how many were submitted now.

    Fewer than a batch wait for others, as those of an album that is being uploaded: an invocation
    for each would cost a start of the function for each.
    """
    if len(sources) < settings.FACEDETECTION_LAMBDA_BATCH_SIZE:
        return 0
    return _round(iter(sources), lambda count: None).sources


def submit_due(
    *, at_most: int | None = None, at_once: bool = False, on_progress: Progress
) -> SubmissionReport:
    """Submit what is due, references first; `at_once`: without the pause after a failure.

    Stops at the first failed invocation, because the next would fail too.
    """
    return _round(islice(_due(at_once), at_most), on_progress)


def sweep() -> None:
    """Submit what is due. Any number of sweeps may run at once, and any may be killed."""
    submit_due(at_most=_SWEPT, on_progress=lambda count: None)


def due(model: type[Any], *, at_once: bool = False) -> models.QuerySet[Any]:
    """The sources to submit now."""
    now = timezone.now()
    unanswered = Q(submitted_at__lt=now - WAIT)
    never = Q(submitted_at__isnull=True)
    return backends.waiting(model).filter(never | unanswered | _failed_before(at_once))


def release(source: Source) -> bool:
    """Submitted → failed for now: the token becomes invalid, and it is submitted again."""
    rows: models.QuerySet[Any] = type(source)._default_manager.all()
    ours = rows.filter(pk=source.pk, token_sha256=source.token_sha256)
    return bool(ours.update(token_sha256="", submitted_at=timezone.now()))


def token_hash(token: str) -> str:
    """The stored form of a token. Tokens are random, so a plain hash cannot be reversed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _failed_before(at_once: bool) -> Q:
    failed = Q(submitted_at__isnull=False, token_sha256="")
    if at_once:
        return failed
    now, rested = timezone.now(), Q()
    for count in range(1, _PAUSES + 1):
        up_to = Q(submissions__lte=count) if count < _PAUSES else Q()
        rested |= up_to & Q(submitted_at__lt=now - _FIRST_PAUSE * 2 ** (count - 1))
    return failed & rested


def _due(at_once: bool) -> Iterator[Source]:
    for model in MODELS.values():
        last = 0
        while page := list(due(model, at_once=at_once).filter(pk__gt=last)[:_PAGE]):
            yield from page
            last = page[-1].pk


def _round(sources: Iterator[Source], on_progress: Progress) -> SubmissionReport:
    done = SubmissionReport()
    batch = list(islice(sources, settings.FACEDETECTION_LAMBDA_BATCH_SIZE))
    if not batch:
        return done
    with Client() as client:
        while batch and not done.error:
            done += _submit_batch(client, batch)
            on_progress(len(batch))
            batch = list(islice(sources, settings.FACEDETECTION_LAMBDA_BATCH_SIZE))
    return done


def _submit_batch(client: Client, sources: Sequence[Source]) -> SubmissionReport:
    # Committed before the tokens are sent, because a callback may arrive at once.
    with transaction.atomic():
        claimed = [claim for source in sources if (claim := _claim(source))]
    return _invoke(client, claimed) if claimed else SubmissionReport()


def _invoke(client: Client, claimed: Sequence[_Claimed]) -> SubmissionReport:
    shapes = [_shape(each.source, each.token) for each in claimed]
    try:
        client.invoke(build_payload(settings.FACEDETECTION_API_URL, shapes))
    except TooLarge as error:
        if len(claimed) == 1:
            return _failed(claimed, error)
        half = len(claimed) // 2
        return _invoke(client, claimed[:half]) + _invoke(client, claimed[half:])
    except InvokeError as error:
        return _failed(claimed, error)
    registry.count(SUBMITTED, len(claimed), outcome="submitted")
    logger.info("submitted sources=%d to Lambda", len(claimed))
    return SubmissionReport(sources=len(claimed), invocations=1)


def _failed(claimed: Sequence[_Claimed], error: InvokeError) -> SubmissionReport:
    registry.count(SUBMITTED, len(claimed), outcome="failed")
    logger.error("not submitted sources=%d, will be again: %s", len(claimed), error)
    with transaction.atomic():
        for each in claimed:
            release(each.source)
    return SubmissionReport(failed=len(claimed), error=str(error))


def _claim(source: Source) -> _Claimed | None:
    """Set a new token, in one process only; an earlier token becomes invalid."""
    token = secrets.token_urlsafe(32)
    claim: dict[str, Any] = {"token_sha256": token_hash(token), "submitted_at": timezone.now()}
    kind = SourceType(str(source._meta.model_name))
    rows: models.QuerySet[Any] = backends.waiting(MODELS[kind])
    as_seen = rows.filter(
        pk=source.pk, submissions=source.submissions, token_sha256=source.token_sha256
    )
    if not as_seen.update(**claim, submissions=F("submissions") + 1):
        return None
    source.token_sha256 = claim["token_sha256"]
    return _Claimed(source, token)


def _shape(source: Source, token: str) -> SourceShape:
    kind = SourceType(str(source._meta.model_name))
    path = f"/api/facedetection/sources/{kind}/{source.pk}/"
    url = signed_urls.signed(path, lifetime_s=_URL_LIFETIME_S, base=settings.FACEDETECTION_API_URL)
    shape: SourceShape = {
        "pk": source.pk,
        "type": str(kind),
        "photo_url": url,
        "token": token,
    }
    if source.detector:
        shape["detector"] = source.detector
    return shape
