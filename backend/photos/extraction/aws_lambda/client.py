"""Asynchronous invocation of the AWS Lambda function, or of a compatible service.

boto3 is loaded with the first call: few processes ever make one.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from django.conf import settings

from wire.facedetection import Payload

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES: Final = 250_000
"""AWS accepts 1 MB since October 2025; 256 KB before, as compatible services still may."""

_CONNECT_TIMEOUT_S: Final = 3
_READ_TIMEOUT_S: Final = 10
_ATTEMPTS: Final = 3


class InvokeError(Exception):
    """The function was not started, or it is unknown whether it was."""


class TooLarge(InvokeError):
    """The event is too large: it has too many sources."""


class Client:
    """Connections to Lambda for one round of invocations, so that no fork inherits them."""

    def __init__(self) -> None:
        self._client = _connect()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def invoke(self, payload: Payload) -> None:
        """Start the function asynchronously. Raises `InvokeError`."""
        from botocore.exceptions import BotoCoreError, ClientError

        event = encoded(payload)
        if len(event) > MAX_EVENT_BYTES:
            raise TooLarge("The event is too large.")
        name = settings.FACEDETECTION_LAMBDA_ARN
        try:
            answer = self._client.invoke(FunctionName=name, InvocationType="Event", Payload=event)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            kind = TooLarge if status == 413 else InvokeError
            code = error.response.get("Error", {}).get("Code", "")
            raise kind(f"Lambda refused: {status} {code}") from error
        except BotoCoreError as error:
            raise InvokeError(f"Lambda is out of reach: {error}") from error
        if answer["StatusCode"] != 202:
            raise InvokeError(f"Lambda answered {answer['StatusCode']}")


def encoded(payload: Payload) -> bytes:
    """The event as it is sent."""
    return json.dumps(payload, separators=(",", ":")).encode()


def _connect() -> Any:
    import boto3.session
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.session.Session()
    endpoint_url = settings.AWS_ENDPOINT_URL_LAMBDA or None
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    if endpoint_url and session.get_credentials() is None:
        # The emulator needs no credentials.
        config = config.merge(Config(signature_version=UNSIGNED))
    region = region_of(settings.FACEDETECTION_LAMBDA_ARN) or session.region_name or "us-east-1"
    return session.client("lambda", region_name=region, endpoint_url=endpoint_url, config=config)


def region_of(arn: str) -> str:
    """The region in `arn:aws:lambda:REGION:ACCOUNT:function:NAME`; empty for a mere name."""
    parts = arn.split(":")
    return parts[3] if len(parts) >= 7 and parts[0] == "arn" else ""
