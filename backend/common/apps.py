import gc
import logging

from django.apps import AppConfig
from django.conf import settings
from django.core.management import get_commands


def _hide_commands_of_rq() -> None:
    """Its workers would run any function that an entry of the queue names, and know no rows."""
    commands = get_commands()
    for name in [name for name, app in commands.items() if app == "django_rq"]:
        del commands[name]
    # The one that users of rq know names ours.
    commands["rqworker"] = CommonConfig.name


class CommonConfig(AppConfig):
    name = "backend.common"

    def ready(self) -> None:
        from backend.common import checks  # noqa: F401  registers the system checks

        if settings.FACES_SENTRY_DSN:
            from backend.common.observability import sentry

            sentry.start(settings.FACES_SENTRY_DSN, environment=settings.ENVIRONMENT)
        _hide_commands_of_rq()
        # Warnings too are lines of the log, in its format.
        logging.captureWarnings(True)
        # The end of loading, for which programs switch the collector off. A later fork whose
        # collector looked at what is there now would copy all its memory.
        gc.freeze()
        gc.enable()
