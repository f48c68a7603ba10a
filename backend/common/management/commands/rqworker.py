"""`manage.py rqworker` of django-rq, refused: `work` has the workers of this service."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = "Refused: the workers of this service are `manage.py work`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("arguments", nargs="*")

    def run_from_argv(self, argv: list[str]) -> None:
        # Whatever options rq's command takes.
        super().run_from_argv(argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(
            "rq's own workers are not used here: they would run any function that an entry in "
            "Redis names. Start this service's workers with `manage.py work`."
        )
