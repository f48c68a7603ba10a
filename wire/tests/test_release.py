"""The version: one place, and a changelog and workflow that agree with it."""

import re
import subprocess
import sys
import unittest

from wire.environment import ROOT
from wire.release import VERSION


class ReleaseTests(unittest.TestCase):
    def test_the_version_is_three_numbers_and_printed_for_scripts(self) -> None:
        self.assertRegex(VERSION, r"^\d+\.\d+\.\d+$")
        ran = subprocess.run(
            [sys.executable, "-m", "wire.release"], cwd=ROOT, capture_output=True, text=True
        )
        self.assertEqual(ran.stdout, f"{VERSION}\n")

    def test_the_changelog_has_a_part_for_it(self) -> None:
        changes = (ROOT / "CHANGELOG.md").read_text()
        released = re.findall(r"(?m)^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", changes)
        self.assertEqual(released[:1], [VERSION])

    def test_the_image_of_the_service_holds_the_file(self) -> None:
        stage = (ROOT / "Dockerfile").read_text().partition(" AS app\n")[2].partition("\nFROM")[0]
        self.assertRegex(stage, r"(?m)^COPY .*\bpyproject\.toml\b")
