"""Encoders: the networks that make numbers of faces. The one place where a model's facts live.

    faceengine.DLIB                       dlib's network of 128 numbers
    faceengine.open_encoder("w600k.onnx") a file of one's own, or the folder of an InsightFace pack

What a file is, is found out by converting it once (`faceengine.conversion.arcface`); `model.toml`
beside it says what cannot be found out (docs/models.md). A converted encoder is a folder with
`encoder.onnx` and a `model.toml` of its facts, in the model cache or wherever `convert` wrote it.
Imports the standard library alone, so that a web process knows the facts without the engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from faceengine.errors import ModelError
from faceengine.runtime import MODEL, cache_folder, once

SMALLEST: Final = 128
LARGEST: Final = 1024
"""Numbers of an encoding: those of the models that the field uses."""

NETWORK: Final = "encoder.onnx"
FACTS: Final = "model.toml"

_BUILD: Final = 2
"""Raised with every change of the conversion that changes what it builds."""

_OTHERS: Final = ("det_", "scrfd", "genderage", "1k3d68", "2d106det")
"""What the names of a pack's other networks begin with."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Euclidean distances of a model's encodings, and its curve of confidence.

    `same_person`: up to it two faces are one person's. `match_distance`: below it photos are found
    and faces grouped. `slope`, `midpoint` and `ceiling` are those of docs/confidence.md.
    """

    same_person: float
    match_distance: float
    slope: float
    midpoint: float
    ceiling: float


@dataclass(frozen=True, slots=True)
class Encoder:
    """A network and its facts. Encodings of two encoders are never compared.

    `name` is stored beside every encoding; it changes with the file and with every option that
    changes the numbers. `network` is the converted file, None of dlib's. Encodings are compared by
    their Euclidean distance; all but dlib's have the length 1, so it orders pairs as the cosine
    does (d² = 2 - 2·cos).
    """

    name: str
    dimensions: int
    thresholds: Thresholds | None
    network: Path | None = None
    digest: str = ""

    @property
    def batch(self) -> int:
        """Faces in one run.

        More than one of ArcFace's kind at once leave the processor's cache: SFace takes 9 ms of a
        face alone and 20 ms of each of 32.
        """
        return 32 if self.network is None else 1


@dataclass(frozen=True, slots=True)
class Options:
    """How pixels become a network's input: (pixel - `mean`) / `std`, each None if found out."""

    mean: float | None = None
    std: float | None = None
    channels: str = "rgb"


DLIB: Final = Encoder(
    MODEL,
    128,
    # LFW: docs/confidence.md. 0.6 is where `face_recognition` draws the line.
    Thresholds(same_person=0.6, match_distance=0.49, slope=40, midpoint=0.6, ceiling=0.9938),
)

# SFace. 1.128 and the accuracy on LFW: `models/face_recognition_sface` of OpenCV Zoo (sface.py,
# README). The other numbers are measured here: docs/models.md.
_SFACE: Final = Thresholds(
    same_person=1.128, match_distance=1.05, slope=25, midpoint=1.128, ceiling=0.994
)

_KNOWN: Final[Mapping[str, tuple[str, Thresholds]]] = {
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee": (
        "face_recognition_sface_2021dec_int8bq",
        _SFACE,
    ),
}
"""Files by their SHA-256: name and thresholds, where `model.toml` has no others."""


def open_encoder(source: str | os.PathLike[str] = "dlib") -> Encoder:
    """The encoder of `source`: "dlib", an ONNX file, a pack's folder, or a converted one.

    A file that was never converted is converted now, into the model cache, which needs the package
    onnx. Raises `ModelError`, with the remedy, where there is no usable encoder.
    """
    if str(source) in ("", "dlib"):
        return DLIB
    path = Path(source)
    return once(f"facts of {path}", lambda: _opened(path))


def convert(source: Path, folder: Path) -> Encoder:
    """Convert `source`, a file or a pack's folder, into the new `folder`; returns its encoder."""
    file, given = _found(source)
    if folder.exists():
        raise ModelError(f"{folder} exists already: name a new folder.")
    _convert(file, given, folder)
    return _of_folder(folder, _toml(folder / FACTS))


def _opened(path: Path) -> Encoder:
    if path.is_dir() and "sha256" in (facts := _toml(path / FACTS)):
        return _of_folder(path, facts)
    file, given = _found(path)
    digest = _digest(file)
    name, known = _identity(digest, given)
    folder = cache_folder() / f"{name}-{_BUILD}"
    if not (folder / FACTS).is_file():
        _convert(file, given, folder)
    encoder = _of_folder(folder, _toml(folder / FACTS))
    return replace(encoder, thresholds=_thresholds(given) or known)


def _of_folder(folder: Path, facts: Mapping[str, Any]) -> Encoder:
    try:
        return Encoder(
            str(facts["name"]),
            int(facts["dimensions"]),
            _thresholds(facts),
            folder / NETWORK,
            str(facts["sha256"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{folder / FACTS} lacks a fact of its encoder: {error}.") from error


def _found(path: Path) -> tuple[Path, dict[str, Any]]:
    """The network's file of `path` and what its `model.toml` says."""
    if not path.exists():
        raise ModelError(f"There is no encoder at {path}.")
    folder = path if path.is_dir() else path.parent
    given = _toml(folder / FACTS)
    if not path.is_dir():
        return path, given
    if "file" in given:
        return folder / str(given["file"]), given
    files = [each for each in sorted(folder.glob("*.onnx")) if not each.name.startswith(_OTHERS)]
    if len(files) != 1:
        names = ", ".join(each.name for each in files) or "none"
        message = f"{folder} has not one network that may be an encoder ({names})"
        raise ModelError(f"{message}: name the file, or write it into {FACTS} (file = …).")
    return files[0], given


def _convert(file: Path, given: Mapping[str, Any], folder: Path) -> None:
    """Write the converted encoder under a temporary name, and move it into place."""
    options = _options(given)
    try:
        from faceengine.conversion import arcface
    except ImportError as error:
        message = f"{file.name} is not converted yet, which needs the package onnx"
        remedy = "`python -m faceengine convert FILE FOLDER` where it is installed, and name FOLDER"
        raise ModelError(f"{message}: run {remedy}.") from error
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"The encoder {file} cannot be read: {error}.") from error
    mean, std, is_bgr = options.mean, options.std, options.channels == "bgr"
    network, dimensions = arcface.build(data, mean=mean, std=std, is_bgr=is_bgr)
    if not SMALLEST <= dimensions <= LARGEST:
        message = f"An encoder makes {SMALLEST} to {LARGEST} numbers of a face"
        raise ModelError(f"{message}; {file.name} makes {dimensions}.")
    name, known = _identity(hashlib.sha256(data).hexdigest(), given)
    facts: dict[str, str | int] = {
        "name": name,
        "dimensions": dimensions,
        "sha256": hashlib.sha256(network).hexdigest(),
    }
    _write(folder, network, _as_toml(facts, _thresholds(given) or known))


def _write(folder: Path, network: bytes, facts: str) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            new = Path(temporary, "new")
            new.mkdir()
            (new / NETWORK).write_bytes(network)
            (new / FACTS).write_text(facts)
            if not (folder / FACTS).is_file():  # else another process was faster
                new.rename(folder)
    except OSError as error:
        message = f"The converted encoder cannot be kept in {folder}: {error}"
        remedy = "`python -m faceengine convert FILE FOLDER` writes it elsewhere: name FOLDER"
        raise ModelError(f"{message}. {remedy}.") from error


def _identity(digest: str, given: Mapping[str, Any]) -> tuple[str, Thresholds | None]:
    """The name of a file's encodings, and its thresholds where it is known."""
    options = _options(given)
    if digest in _KNOWN and options == Options():
        return _KNOWN[digest]
    text = json.dumps([digest, options.mean, options.std, options.channels])
    short = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"onnx-{short}", _KNOWN[digest][1] if digest in _KNOWN else None


def _options(given: Mapping[str, Any]) -> Options:
    channels = str(given.get("channels", "rgb")).lower()
    mean, std = given.get("mean"), given.get("std")
    if channels not in ("rgb", "bgr") or (mean is None) != (std is None) or std == 0:
        raise ModelError(f'{FACTS}: channels is "rgb" or "bgr", mean and std are two numbers.')
    try:
        return (
            Options()
            if mean is None and channels == "rgb"
            else Options(*_both(mean, std), channels)
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{FACTS}: mean and std are two numbers.") from error


def _both(mean: Any, std: Any) -> tuple[float | None, float | None]:
    return (None, None) if mean is None else (float(mean), float(std))


def _thresholds(facts: Mapping[str, Any]) -> Thresholds | None:
    table = facts.get("thresholds")
    if table is None:
        return None
    try:
        values = {name: float(table[name]) for name in Thresholds.__dataclass_fields__}
    except (KeyError, TypeError, ValueError) as error:
        names = ", ".join(Thresholds.__dataclass_fields__)
        raise ModelError(f"{FACTS}: [thresholds] has the numbers {names}.") from error
    return Thresholds(**values)


def _as_toml(facts: Mapping[str, str | int], thresholds: Thresholds | None) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in facts.items()]
    if thresholds is not None:
        names = Thresholds.__dataclass_fields__
        lines += ["", "[thresholds]", *(f"{name} = {getattr(thresholds, name)}" for name in names)]
    return "\n".join(lines) + "\n"


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}.") from error


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The encoder {file} cannot be read: {error}.") from error
