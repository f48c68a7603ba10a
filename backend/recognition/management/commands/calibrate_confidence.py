"""`manage.py calibrate_confidence`: fits the confidence to your own galleries."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from backend.analysis import services as analysis
from backend.common.commands import ServiceCommand
from backend.recognition.gallery import calibration, reembedding
from backend.recognition.models import User


class Command(ServiceCommand):
    help = (
        "Fit the curve from distance to confidence to galleries, whose contacts label which faces"
        " are one person's, and print the settings that it suggests. It changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", type=int, help="only galleries of this client, by its id")
        parser.add_argument("--user", type=int, help="only users with this number")

    def handle(self, *args: Any, **options: Any) -> None:
        users = User.objects.filter(exists=True).order_by("pk")
        if options["client"] is not None:
            users = users.filter(owner=options["client"])
        if options["user"] is not None:
            users = users.filter(user_id=options["user"])
        try:
            fit = calibration.fit(users, model=reembedding.current_model())
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._show(fit)

    def _show(self, fit: calibration.Fit) -> None:
        self.stdout.write(f"{len(fit.same)} pairs of one contact, {len(fit.different)} of two.")
        self.stdout.write("distance  of one nearer  of two nearer  confidence now  fitted")
        for distance, same, different, now, then in fit.table():
            self.stdout.write(
                f"{distance:8.2f}  {same:13.2%}  {different:13.2%}  {now:14.3f}  {then:6.3f}"
            )
        if reembedding.current_model() == analysis.DLIB:
            self._suggest_settings(fit)
        else:
            self._suggest_table(fit)

    def _suggest_settings(self, fit: calibration.Fit) -> None:
        if fit.now:
            self.stdout.write(f"Now FACES_CONFIDENCE_SLOPE={fit.now.slope:.1f}")
            self.stdout.write(f"    FACES_CONFIDENCE_MIDPOINT={fit.now.midpoint:.3f}")
        self.stdout.write(f"Suggested FACES_CONFIDENCE_SLOPE={fit.curve.slope:.1f}")
        self.stdout.write(f"          FACES_CONFIDENCE_MIDPOINT={fit.curve.midpoint:.3f}")

    def _suggest_table(self, fit: calibration.Fit) -> None:
        self.stdout.write("Suggested for model.toml beside the encoder's file:\n[thresholds]")
        for name, value in asdict(fit.thresholds).items():
            self.stdout.write(f"{name} = {value:.3f}")
