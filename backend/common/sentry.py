"""Errors told to Sentry, where `FACES_SENTRY_DSN` is set. Imported only then.

What goes out is which line failed and how. Never a picture, a face, who called, or what opens a
door: no bodies, no local variables, few headers, and what is left is scrubbed as the log is.
"""

from __future__ import annotations

from typing import Any, Final

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.rq import RqIntegration
from sentry_sdk.types import Event, Hint

from backend.common.observability import logs
from wire.logs import scrub

_HEADERS: Final = frozenset(["content-type", "content-length", "host", "user-agent"])
"""The headers of a request that are told; every other may say who calls."""


def start(dsn: str, *, environment: str) -> None:
    """Tell this Sentry of errors of this process and its forks from now on."""
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        before_send=without_secrets,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        # rq's sees to it that a job's errors are sent before its fork ends.
        integrations=[
            DjangoIntegration(middleware_spans=False, signals_spans=False, cache_spans=False),
            RqIntegration(),
            LoggingIntegration(),
        ],
        auto_enabling_integrations=False,
    )


def without_secrets(event: Event, hint: Hint) -> Event:
    """What may go out of `event`."""
    request: Any = event.get("request", {})
    for part in ("data", "cookies", "query_string", "env"):
        request.pop(part, None)
    headers = request.get("headers", {})
    request["headers"] = {name: headers[name] for name in headers if name.lower() in _HEADERS}
    event.pop("user", None)
    # The command line, and arguments of jobs.
    event.pop("extra", None)
    event["tags"] = {name: value for name, value in logs.context().items() if value}
    scrubbed: Any = _scrubbed(event)
    return scrubbed  # type: ignore[no-any-return]


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(part) for part in value]
    return value
