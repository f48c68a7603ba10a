"""`manage.py reembed_galleries`: encodes all galleries by the model of this version."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from backend.common.commands import ServiceCommand
from backend.recognition.gallery import reembedding
from backend.recognition.models import User


class Command(ServiceCommand):
    help = (
        "Encode the faces of all galleries by the model of this version, from their images, and"
        " switch each user when all its faces are encoded. Run it with the new version while the"
        " old one still serves. An interrupted run is resumed by the next."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", type=int, help="only galleries of this client, by its id")
        parser.add_argument("--user", type=int, help="only users with this number")
        parser.add_argument(
            "--drop",
            action="store_true",
            help="switch also users whose images are not available: these faces are not matched",
        )
        parser.add_argument(
            "--finish",
            action="store_true",
            help="delete the old encodings, when nothing runs the old version any more",
        )

    def handle(self, *args: Any, drop: bool, finish: bool, **options: Any) -> None:
        if finish:
            self.stdout.write(f"Deleted {reembedding.finish()} old encodings.")
            return
        users = reembedding.users_behind(reembedding.current_model())
        if options["client"] is not None:
            users = users.filter(owner=options["client"])
        if options["user"] is not None:
            users = users.filter(user_id=options["user"])
        stay = sum(not self._move(user, drop) for user in list(users))
        if stay:
            raise CommandError(f"{stay} users stay on their old model; --drop switches them, too.")
        self.stdout.write("All galleries are on the model of this version.")

    def _move(self, user: User, drop: bool) -> bool:
        with tqdm(
            total=reembedding.missing(user), desc=str(user), unit=" faces", file=self.stderr
        ) as bar:
            row = reembedding.embed(user, on_progress=bar.update)
        for id, reason in row.unobtainable.items():
            self.stdout.write(f"{user}, face {id}: {reason}")
        return reembedding.switch(user, leave_behind=drop)
