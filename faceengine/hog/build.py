"""Compile the detection kernel: ``python -m faceengine.hog.build [--force]``.

Run by the project's install, never while detecting. There is one shared library for each
instruction set of the architecture, since an image may run on another machine than it was built on.
Without a compiler, or when it fails, this says so and ends well: dlib then does the work.

A library's name carries the hash of all it was made from (source and flags) and the platform, so a
library of an older source is never loaded. ``$CXX`` names another compiler than ``c++``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from faceengine.hog import model, reference

SOURCE = Path(__file__).with_name("kernel")
_COMPILE_TIMEOUT_S = 300

# The resampling must round as dlib's does: nothing is contracted into fused operations behind our
# back, and of -ffast-math there is only what concerns errno and traps.
_FLAGS = [
    *("-std=c++17", "-O3", "-shared", "-fPIC", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
]


class InstructionSet(NamedTuple):
    """One way to compile the kernel."""

    name: str
    flags: tuple[str, ...]


_AVX2 = ("-mavx2", "-mfma")
_AVX512 = (*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl")


def instruction_sets() -> list[InstructionSet]:
    """What this architecture may have, the best last; ``faces_hog_cpu_level`` counts them."""
    baseline = InstructionSet("baseline", ())
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [baseline]
    return [
        baseline,
        InstructionSet("avx2", _AVX2),
        InstructionSet("avx512", (*_AVX512, "-mprefer-vector-width=512")),
    ]


def library_name(instruction_set: InstructionSet) -> str:
    """The file name of the library for the present source; it changes whenever the source does."""
    sources = sorted(SOURCE.iterdir())
    made_from = [
        *(f.read_bytes() for f in sources),
        *(f.encode() for f in [*_FLAGS, *instruction_set.flags]),
    ]
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()[:16]
    return f"{digest}-{sysconfig.get_platform()}-{instruction_set.name}.so"


def folders() -> list[Path]:
    """Where libraries are looked for: in the package, or the user's cache if that is read-only."""
    found = [Path(__file__).with_name("_build")]
    with contextlib.suppress(RuntimeError):  # a container's user may have no home
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        found.append(Path(cache) / "faceengine" / "hog")
    return found


def find(name: str) -> Path | None:
    """The file of that name in the first of the folders that has it, and lets us see it."""
    return next((f for folder in folders() if os.path.isfile(f := folder / name)), None)


def find_library(instruction_set: InstructionSet) -> Path | None:
    """The compiled library for the present source, if there is one."""
    return find(library_name(instruction_set))


class CompileError(Exception):
    """The compiler is missing or failed; the message is its complaint."""


def build(*, force: bool = False) -> str:
    """Compile what is missing, with ``force`` everything; the line returned says what was done."""
    wanted = [s for s in instruction_sets() if force or find_library(s) is None]
    if wanted:
        compiler = find_compiler()
        folder = _writable_folder()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda one: _compile(compiler, one, folder), wanted))
    _take_reference(force=force)
    if not wanted:
        return "HOG kernel: up to date"
    return f"HOG kernel: compiled for {', '.join(s.name for s in wanted)} into {folder}"


def _take_reference(*, force: bool) -> None:
    """Write down what the kernel needs of dlib; where that fails, each start asks dlib itself."""
    name = reference.file_name()
    if name is None or (find(name) is not None and not force):
        return
    import dlib

    with contextlib.suppress(model.UnknownDetector):
        known = reference.from_dlib(dlib.get_frontal_face_detector())
        reference.write(known, _writable_folder() / name)


def find_compiler() -> str:
    """The path of the C++ compiler; ``CompileError`` when there is none."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise CompileError("no C++ compiler found (c++, g++, clang++ or $CXX)")
    return found


def _writable_folder() -> Path:
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    raise CompileError("no folder to write to: " + ", ".join(map(str, folders())))


def _compile(compiler: str, instruction_set: InstructionSet, folder: Path) -> None:
    """Compile into a file of its own first: a reader sees the whole library or none."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch) / "kernel.so"
        command = [
            compiler,
            *_FLAGS,
            *instruction_set.flags,
            str(SOURCE / "kernel.cpp"),
            "-o",
            str(target),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompileError(str(error)) from error
        if done.returncode != 0:
            complaint = next(iter(done.stderr.strip().splitlines()), "no message")
            raise CompileError(
                f"{Path(compiler).name} failed ({instruction_set.name}): {complaint}"
            )
        os.replace(target, folder / library_name(instruction_set))


def main(arguments: list[str] | None = None) -> int:
    """The command line. A machine without a compiler is no failure: it detects with dlib."""
    parser = argparse.ArgumentParser(
        prog="python -m faceengine.hog.build", description=build.__doc__
    )
    parser.add_argument("--force", action="store_true", help="compile even what is up to date")
    options = parser.parse_args(arguments)
    try:
        print(build(force=options.force))
    except CompileError as error:
        print(f"HOG kernel: NOT compiled, dlib will detect instead (slower): {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
