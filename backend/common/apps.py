import logging

from django.apps import AppConfig
from django.conf import settings


class CommonConfig(AppConfig):
    name = "backend.common"

    def ready(self) -> None:
        from backend.common import checks  # noqa: F401  registers the system checks

        if settings.FACES_SENTRY_DSN:
            from backend.common.observability import sentry

            sentry.start(settings.FACES_SENTRY_DSN, environment=settings.ENVIRONMENT)
        # Warnings too are lines of the log, in its format.
        logging.captureWarnings(True)
