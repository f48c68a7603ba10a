import logging

from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "backend.common"

    def ready(self) -> None:
        from backend.common import checks  # noqa: F401  registers the system checks

        # Warnings too are lines of the log, in its format.
        logging.captureWarnings(True)
