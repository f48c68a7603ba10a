"""A processor without AVX is named at the start, where its instructions would end the process."""

import platform
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import faceengine
from faceengine import processor

_IS_X86 = platform.machine() in ("x86_64", "AMD64")


class ProcessorTests(unittest.TestCase):
    def without_avx(self) -> None:
        self.enterContext(mock.patch.object(platform, "machine", return_value="x86_64"))
        self.enterContext(mock.patch.object(processor, "_features", return_value=0x80982201))

    def test_this_one_is_known(self) -> None:
        self.assertEqual(processor.complaint(), "")
        done = subprocess.run([sys.executable, "-m", "faceengine.processor"], capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    @unittest.skipUnless(_IS_X86, "no x86")
    def test_it_is_asked_once(self) -> None:
        processor._features.cache_clear()
        for _ in range(3):
            processor.complaint()
        self.assertEqual(processor._features.cache_info().misses, 1)

    @unittest.skipUnless(_IS_X86, "no x86")
    def test_the_instruction_and_the_kernel_say_the_same(self) -> None:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].splitlines()[0].split()
        for name, bit in (("avx", 28), ("sse4_2", 20), ("popcnt", 23), ("aes", 25)):
            self.assertEqual(bool(processor._features() & 1 << bit), name in flags, name)

    def test_without_avx_it_is_one_sentence(self) -> None:
        self.without_avx()
        with self.assertRaises(SystemExit) as ended:
            processor.require()
        sentence = str(ended.exception.code)
        self.assertRegex(sentence, r"^Faces cannot go on: this processor has no AVX .*\.$")
        self.assertEqual(sentence.count(". "), 0)

    def test_without_avx_the_engine_is_not_loaded(self) -> None:
        self.without_avx()
        with self.assertRaisesRegex(faceengine.ModelError, "no AVX"):
            faceengine.find_faces  # noqa: B018

    def test_on_another_architecture_nothing_is_asked(self) -> None:
        self.without_avx()
        with mock.patch.object(platform, "machine", return_value="aarch64"):
            self.assertEqual(processor.complaint(), "")
