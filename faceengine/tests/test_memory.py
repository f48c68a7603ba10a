"""A process keeps the memory of an image for the next one, until it is released."""

import ctypes
import subprocess
import sys
import unittest
from typing import Final

_HAS_GLIBC: Final = hasattr(ctypes.CDLL(None), "malloc_trim")

_RUN: Final = """
import mmap, resource, sys
from pathlib import Path
from faceengine.memory import keep_memory, release_memory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE >> 20

def image():
    parts = [bytearray(b"1") * (40 << 20) for _ in range(2)]

before = resident_mib()
if sys.argv[1] == "keep":
    keep_memory()
image()
kept = resident_mib() - before
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    image()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
release_memory()
print(kept, faults, resident_mib() - before)
"""


@unittest.skipUnless(_HAS_GLIBC, "not glibc")
class MemoryTests(unittest.TestCase):
    def run_images(self, how: str) -> list[int]:
        command = [sys.executable, "-c", _RUN, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(each) for each in done.stdout.split()]

    def test_it_is_used_again_and_goes_back_when_it_is_released(self) -> None:
        kept_mib, faults, released_mib = self.run_images("keep")
        self.assertGreaterEqual(kept_mib, 75)
        self.assertLessEqual(released_mib, 10)
        # Each of the pages is faulted in anew without it; they may have 4 KiB or 2 MiB.
        self.assertLess(faults, self.run_images("not")[1] / 10)
