"""The kernel is compiled once, whole or not at all, and dlib stands in wherever it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar

from faceengine.hog import build
from tests.support import prerequisites

_ROOT = Path(__file__).resolve().parents[3]

# Prints what detects, and the boxes that a low threshold gives in noise.
_DETECT = """
import logging, sys
import numpy as np
from faceengine import hog
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
pixels = np.random.default_rng(5).integers(0, 256, (24, 30, 3), dtype=np.uint8)
pixels = np.ascontiguousarray(pixels.repeat(5, axis=0).repeat(5, axis=1))
for _ in range(2):
    print(hog.backend(), [detection[:4] for detection in hog.detect(pixels, adjust_threshold=-2)])
"""

_LOAD = """
import sys
from faceengine import hog
hog.load()
print("dlib" if "dlib" in sys.modules else "not even dlib")
"""


# What it has made of the same source with the same flags it copies.
_COMPILER = """#!/bin/sh
for target; do :; done
made={made}/$({{ echo "$@" | sed 's|/[^ ]*||g'; cat {source}/*; }} | sha256sum | cut -c1-64)
[ -f "$made" ] || {{ c++ "$@" -O0 && cp "$target" "$made"; }} || exit 1
cp "$made" "$target"
"""


class Build(unittest.TestCase):
    """Each runs on a copy of the package, so that the built one stays as it is."""

    made: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.made = cls.enterClassContext(tempfile.TemporaryDirectory())

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.cache = Path(folder, "cache")
        package = Path(folder, "faceengine", "hog")
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        for needed in ("runtime.py", "errors.py"):
            shutil.copy(_ROOT / "faceengine" / needed, package.parent)
        for source in (_ROOT / "faceengine" / "hog").glob("*.py"):
            shutil.copy(source, package)
        shutil.copytree(build.SOURCE, package / build.SOURCE.name)
        self.package = package
        self.kernel = package / build.SOURCE.name / "kernel.cpp"
        # The real compiler in a hurry: how fast the kernel is does not matter here.
        self.compiler = Path(folder, "c++")
        self.compiler.write_text(_COMPILER.format(source=self.kernel.parent, made=self.made))
        self.compiler.chmod(0o755)

    def python(self, *arguments: str, **environment: str) -> str:
        """Run Python beside the copy and return what it wrote; it must end well."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.package.parents[1],
            env={**os.environ, "XDG_CACHE_HOME": str(self.cache), **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def compile(self, *options: str, **environment: str) -> str:
        environment = {"CXX": str(self.compiler), **environment}
        return self.python("-m", "faceengine.hog.build", *options, **environment)

    def libraries(self) -> set[Path]:
        return set(self.package.glob("_build/*.so"))

    def test_without_a_library_dlib_detects_and_the_log_says_so_once(self) -> None:
        output = self.python("-c", _DETECT)
        self.assertEqual(output.count("WARNING"), 1)
        self.assertIn("python -m faceengine.hog.build", output)
        self.assertIn("dlib [(", output)

    def test_a_library_that_can_not_be_loaded_leaves_detection_to_dlib(self) -> None:
        for instruction_set in build.instruction_sets():
            library = self.package / "_build" / build.library_name(instruction_set)
            library.parent.mkdir(exist_ok=True)
            library.write_bytes(b"\x7fELF and then no more")
        output = self.python("-c", _DETECT)
        self.assertIn("WARNING", output)
        self.assertIn("can not be loaded", output)
        self.assertIn("dlib [(", output)

    def test_without_its_source_or_a_home_dlib_detects(self) -> None:
        shutil.rmtree(self.kernel.parent)
        output = self.python("-c", _DETECT, XDG_CACHE_HOME="", HOME="")
        self.assertIn("its source is not here", output)
        self.assertIn("dlib [(", output)

    def test_without_a_compiler_it_says_so_and_ends_well(self) -> None:
        output = self.compile(PATH="", CXX="")
        self.assertIn("NOT compiled", output)
        self.assertIn("no C++ compiler", output)
        self.assertEqual(len(output.splitlines()), 1)

    def test_a_compiler_that_fails_is_quoted_and_leaves_nothing_behind(self) -> None:
        prerequisites.require("compiler")
        self.kernel.write_text("#error out of order\n")
        output = self.compile()
        self.assertIn("NOT compiled", output)
        self.assertIn("out of order", output)
        self.assertEqual(list(self.package.glob("_build/*")), [])

    def test_it_compiles_once_and_again_only_by_force_or_for_a_new_source(self) -> None:
        prerequisites.require("compiler")
        self.assertIn("compiled for baseline", self.compile())
        first = self.libraries()
        self.assertEqual(len(first), len(build.instruction_sets()))
        self.assertIn("up to date", self.compile())
        self.assertIn("compiled for baseline", self.compile("--force"))
        self.assertEqual(self.libraries(), first)
        self.assertIn("native-", self.python("-c", _DETECT))
        self.assertIn("not even dlib", self.python("-c", _LOAD))

        self.kernel.write_text(self.kernel.read_text() + "\n// changed\n")
        self.assertIn("dlib [(", self.python("-c", _DETECT))

    def test_a_kernel_that_finds_other_boxes_than_dlib_is_not_used(self) -> None:
        prerequisites.require("compiler")
        source = self.kernel.with_name("features.h")
        right, wrong = "constexpr int BEFORE = 4; ", "constexpr int BEFORE = 3; "
        self.assertIn(right, source.read_text())
        source.write_text(source.read_text().replace(right, wrong))
        self.compile()
        output = self.python("-c", _DETECT)
        self.assertIn("does not find what dlib finds", output)
        self.assertIn("dlib [(", output)

    def test_where_the_package_is_read_only_it_compiles_into_the_users_cache(self) -> None:
        prerequisites.require("compiler")
        (self.package / "_build").touch()  # a file: root may write into any folder
        self.assertIn(str(self.cache), self.compile())
        self.assertIn("native-", self.python("-c", _DETECT))
