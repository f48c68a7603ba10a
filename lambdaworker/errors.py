"""Errors told to Sentry, where a DSN is set; the SDK is imported only then.

What goes out is which line failed and how: no event, no addresses, no tokens, no local variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from wire.logs import scrub

_FLUSH_S: Final = 2.0
"""After the answer the instance is frozen, and what was not sent by then may never be."""

_dsn = ""


def start(dsn: str, environment: str = "") -> None:
    """Tell this Sentry of errors from now on; with an empty `dsn`, nobody."""
    global _dsn
    _dsn = dsn
    if not dsn:
        return
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=dsn,
        environment=environment or None,
        before_send=_without_secrets,
        send_default_pii=False,
        include_local_variables=False,
        # Its own integration with Lambda would send the event, which holds all tokens.
        integrations=[LoggingIntegration()],
        auto_enabling_integrations=False,
    )


@contextmanager
def told() -> Iterator[None]:
    """What is raised in the block is told before it goes on."""
    try:
        yield
    except Exception as error:
        if _dsn:
            import sentry_sdk

            sentry_sdk.capture_exception(error)
        raise
    finally:
        if _dsn:
            import sentry_sdk

            sentry_sdk.flush(timeout=_FLUSH_S)


def _without_secrets(event: Any, hint: Any) -> Any:
    for part in ("request", "extra", "user"):
        event.pop(part, None)
    return _scrubbed(event)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(part) for part in value]
    return value
