"""`manage.py match_photos`: request failed matchings again, or all."""

from argparse import ArgumentParser
from typing import Any

from backend.common.commands import ServiceCommand
from backend.photos.matching import jobs


class Command(ServiceCommand):
    help = (
        "Request failed matchings again. With --all, those of all references, after a change of"
        " FACES_MATCH_DISTANCE. Rejections and tags of members stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="match all references again")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = jobs.request_again(everything=options["all"])
        self.stdout.write(f"Requested {asked} matchings.")
