"""Errors are reported to Sentry, where a DSN is set; the SDK is imported only then."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from wire import error_reports

_FLUSH_S: Final = 2.0
"""After the answer the instance is frozen, and a report that is not sent by then may be lost."""

_sentry: Any = None


def start(dsn: str, environment: str = "") -> None:
    """Report errors from now on; with an empty `dsn`, none."""
    global _sentry
    if not dsn:
        return
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    # Sentry's own integration with Lambda would send the event, which holds all tokens.
    options = error_reports.options(dsn, environment)
    sentry_sdk.init(**options, integrations=[LoggingIntegration()])
    _sentry = sentry_sdk


@contextmanager
def reported() -> Iterator[None]:
    """An exception of the block is reported and raised on."""
    try:
        yield
    except Exception as error:
        if _sentry:
            _sentry.capture_exception(error)
        raise
    finally:
        if _sentry:
            _sentry.flush(timeout=_FLUSH_S)
