"""Reports errors to Sentry, where `FACES_SENTRY_DSN` is set. Imported only then."""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from backend.common.observability import logs
from wire import error_reports


def start(dsn: str, *, environment: str) -> None:
    """Report errors of this process and its forks from now on."""
    options = error_reports.options(dsn, environment)
    sentry_sdk.init(
        **{**options, "before_send": _with_context},
        integrations=[
            DjangoIntegration(middleware_spans=False, signals_spans=False, cache_spans=False),
            LoggingIntegration(),
        ],
    )


def _with_context(event: Any, hint: Any) -> Any:
    tags = {name: value for name, value in logs.context().items() if value}
    return error_reports.without_secrets({**event, "tags": tags})
