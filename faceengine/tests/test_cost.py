"""Costly files cost little: each is checked, and worked on, in a process of its own, measured."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.support import costly_files

_ROOT: Final = Path(__file__).resolve().parents[2]

_CHECK_S: Final = 2
_CHECK_BYTES: Final = 300 << 20
_WORK_S: Final = 10
_WORK_BYTES: Final = 1 << 30

_HELPER_S: Final = 1
"""Its start; a limit of processor time ends a decoder within a second more."""

_WORKED_ON: Final = (
    *("jpeg: 40 empty scans", "jpeg: 7 scans of 9400²", "jpeg: 300 EXIF segments"),
    *("jpeg: 119 megapixels, 90 MB", "png: 118 megapixels, alpha", "png: 118 megapixels, 16 bits"),
    *("gif: 10 million comments", "webp: 55 megapixels", "bmp: jumps"),
    *("tiff: a tile of 20000²", "tiff: a strip of 119 megapixels", "avif: 8000²"),
)
"""They cost a worker the most."""


class _CostCase(unittest.TestCase):
    _probe: ClassVar[subprocess.Popen[str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        command = [sys.executable, "-m", "tests.support.cost_probe"]
        cls._probe = cls.enterClassContext(
            subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )

    def measured(self, call: str, data: bytes) -> dict[str, Any]:
        """What `tests.support.cost_probe` prints."""
        assert self._probe.stdin is not None and self._probe.stdout is not None
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            print(call, file.name, file=self._probe.stdin, flush=True)
            result: dict[str, Any] = json.loads(self._probe.stdout.readline())
        self.assertIn("cpu_s", result, "the process did not survive the file")
        return result

    def assert_bounded(self, call: str, name: str, *, seconds: int, most_bytes: int) -> None:
        with self.subTest(name):
            cost = self.measured(call, costly_files.table()[name]())
            self.assertLess(cost["cpu_s"], seconds, cost)
            self.assertLess(cost["decoders_s"], seconds + _HELPER_S, cost)
            self.assertLess(cost["peak_bytes"], most_bytes, cost)

    def check_all_of(self, format: str) -> None:
        for name in costly_files.table():
            if name.startswith(format):
                self.assert_bounded("check", name, seconds=_CHECK_S, most_bytes=_CHECK_BYTES)


class CheckCostTests(_CostCase):
    def test_jpeg(self) -> None:
        self.check_all_of("jpeg")

    def test_png(self) -> None:
        self.check_all_of("png")

    def test_gif_and_bmp(self) -> None:
        self.check_all_of("gif")
        self.check_all_of("bmp")

    def test_webp_and_tiff(self) -> None:
        self.check_all_of("webp")
        self.check_all_of("tiff")

    def test_avif_and_heic(self) -> None:
        self.check_all_of("avif")
        self.check_all_of("heic")

    def test_the_table_is_long(self) -> None:
        self.assertGreaterEqual(len(costly_files.table()), 40)


class WorkCostTests(_CostCase):
    def test_what_a_worker_does(self) -> None:
        for name in _WORKED_ON:
            self.assert_bounded("work", name, seconds=_WORK_S, most_bytes=_WORK_BYTES)
