"""The curve fitted to galleries, by the command."""

import io
import re
from statistics import mean

from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import TestCase

from backend.recognition.gallery import calibration, reembedding
from backend.recognition.models import User
from backend.recognition.tests import factories
from backend.recognition.tests.factories import add, near, person


class CalibrationTests(TestCase):
    def setUp(self) -> None:
        self.model = reembedding.current_model()
        self.user = factories.user()
        for number in range(12):
            who = person()
            add(self.user, number, [near(who, 0.3) for _ in range(6)], model=self.model)

    def run_command(self, *options: str) -> str:
        out = io.StringIO()
        call_command("calibrate_confidence", *options, stdout=out)
        return out.getvalue()

    def test_it_suggests_a_midpoint_between_pairs_of_one_and_of_two(self) -> None:
        fit = calibration.fit(User.objects.all(), model=self.model)
        self.assertEqual(len(fit.same), 12 * 15)
        self.assertEqual(len(fit.different), 72 * 71 // 2 - 12 * 15)
        self.assertTrue(mean(fit.same) < fit.curve.midpoint < mean(fit.different), fit.curve)
        out = self.run_command("--user", "1")
        self.assertIn(f"Suggested FACES_CONFIDENCE_SLOPE={fit.curve.slope:.1f}\n", out)
        self.assertRegex(out, re.escape(f"{fit.curve.midpoint:.3f}"))

    def test_without_pairs_of_both_kinds_nothing_is_suggested(self) -> None:
        with self.assertRaisesRegex(CommandError, "Pairs of the same person are needed"):
            self.run_command("--user", "2")
