"""`manage.py match_photos`: asks for the matchings that failed, or for all of them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from backend.photos.matching import jobs


class Command(BaseCommand):
    help = (
        "Ask the workers for the matchings that failed. With --all, for those of all references,"
        " as FACES_MATCH_DISTANCE has been changed. What members said stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="of all references")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = jobs.request_again(everything=options["all"])
        self.stdout.write(f"Asked for {asked} matchings.")
