"""The function's entry point, `lambdaworker.handler.handler`, for AWS's runtime interface client.

Importing this is the cold start: the settings are read and the models loaded, once for all
invocations that this instance will see. docs/lambda.md has every setting.
"""

import logging
import os
from collections.abc import Mapping
from typing import Final, Protocol

import faceengine
from lambdaworker import batch, errors
from lambdaworker.batch import Result, SourcesLeft
from lambdaworker.options import Options
from lambdaworker.sources import usable
from safe_http import transport
from wire.facedetection import read_payload

logger = logging.getLogger(__name__)


class Context(Protocol):
    """The part of the runtime's context that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


def options_from(environ: Mapping[str, str]) -> Options:
    """The options that `environ` names, under the service's own names where it has them."""
    known = Options()

    def number(name: str, default: int) -> int:
        return int(environ.get(name) or default)

    return Options(
        memory_mb=number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", known.memory_mb),
        max_image_pixels=number("FACES_MAX_IMAGE_PIXELS", 0),
        max_download_bytes=number("FACES_DOWNLOAD_MAX_BYTES", known.max_download_bytes),
        download_timeout_s=float(
            environ.get("FACES_DOWNLOAD_TIMEOUT_S") or known.download_timeout_s
        ),
        retry_delay_s=float(environ.get("FACES_LAMBDA_RETRY_DELAY_S") or known.retry_delay_s),
        detector=environ.get("FACES_DETECTOR") or known.detector,
        max_detection_pixels=number("FACES_MAX_DETECTION_PIXELS", known.max_detection_pixels),
        runtime_api=environ.get("AWS_LAMBDA_RUNTIME_API", ""),
    )


def _log_as(level: str) -> None:
    for name in ("lambdaworker", "faceengine", "safe_http"):
        logging.getLogger(name).setLevel(level)
    # At DEBUG these write whole requests, with signed URLs and tokens.
    for name in ("httpcore", "urllib3", "sentry_sdk"):
        logging.getLogger(name).setLevel(logging.WARNING)


_log_as(os.environ.get("FACES_LOG_LEVEL") or "INFO")
errors.start(os.environ.get("FACES_SENTRY_DSN", ""), os.environ.get("ENVIRONMENT", ""))
_OPTIONS: Final = options_from(os.environ)
transport.tls_context()
faceengine.configure(
    model_cache=os.environ.get("FACES_MODEL_CACHE") or None,
    yunet_model=os.environ.get("FACES_YUNET_MODEL") or None,
)
faceengine.keep_memory()
faceengine.load(usable(_OPTIONS.detector))  # a wrong name raises here


def handler(event: object, context: Context) -> Result:
    """Find the faces of the event's sources and post them; see `wire.facedetection` for shapes.

    Raises `ShapeError` at once for an event that is not one, and `SourcesLeft` if trying again may
    bring what failed now.
    """
    with errors.reported():
        read = read_payload(event)
        remaining_s = context.get_remaining_time_in_millis() / 1000
        try:
            result = batch.run(read, _OPTIONS, remaining_s)
        except SourcesLeft as left:
            logger.warning("left request=%s %s", context.aws_request_id, left)
            raise
        logger.info("done request=%s %s", context.aws_request_id, result)
        return result
