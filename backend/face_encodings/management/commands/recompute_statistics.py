"""`manage.py recompute_statistics`: sums up all encodings again and corrects the counters."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from backend.common.commands import ServiceCommand
from backend.face_encodings import statistics
from backend.face_encodings.models import EncodedImage, StatisticsCounter


class Command(ServiceCommand):
    help = (
        "Compute the statistics of all clients from their images, and correct them if they differ."
        " Images may come and go meanwhile; do not run it twice at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="only compare; exit with 1 if they differ"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        images = EncodedImage.objects.filter(faces_count__gt=0).exclude(completed_at=None)
        wrong = 0
        with tqdm(total=images.count(), unit=" images", file=self.stderr) as progress:
            for owner_id in _owners():
                found = [
                    self._recompute(owner_id, model, progress, check)
                    for model in statistics.models_of(owner_id)
                ]
                wrong += any(found)
        if wrong and check:
            raise CommandError(f"The statistics of {wrong} clients are wrong.")
        self.stdout.write(
            f"Corrected the statistics of {wrong} clients."
            if wrong
            else "The statistics are right."
        )

    def _recompute(self, owner_id: int, model: str, progress: Any, check: bool) -> bool:
        lacking = statistics.Total.counting([])
        for images, found in statistics.recompute(owner_id, model):
            progress.update(images)
            lacking = found or lacking
        if not lacking:
            return False
        self.stdout.write(f"client {owner_id}: {lacking.images:+d} images")
        if not check:
            statistics.add(owner_id, lacking, model=model)
        return True


def _owners() -> list[int]:
    """Every client with images or a counter."""
    owners = [
        model._default_manager.order_by().values_list("owner_id", flat=True).distinct()
        for model in (EncodedImage, StatisticsCounter)
    ]
    return sorted({*owners[0], *owners[1]})
