"""Converted models on disk: converted once, found again by what they were converted from."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from faceengine.errors import ModelError

log = logging.getLogger(__name__)

# Raised with every change of the builders that changes what they build.
_BUILD = 2


def converted(
    source: Path, digest: str, folder: Path, name: str, build: Callable[[bytes], bytes]
) -> Path | bytes:
    """The ONNX model `name` that `build` makes of the file `source`: its file in `folder`.

    `digest` is the SHA-256 that the source must have: another file, or a damaged one, raises
    `ModelError`. Once it is converted the source may be absent: images leave it out. The file is
    called `name-SOURCE-BUILD-OWN.onnx`, after the source's SHA-256 and its own; it is written under
    a temporary name and moved into place, so that it is there whole or not at all, and one that
    does not match its name is built anew. A folder that can not be written to costs every start the
    conversion, and is logged; the model's bytes are returned then.
    """
    stem = _stem(name, digest)
    found = _intact(folder, stem)
    if found is None or source.exists():
        _check(source, digest)
    if found is not None:
        return found
    model = build(source.read_bytes())
    return _write(folder, stem, model) or model


def is_converted(digest: str, folder: Path, name: str) -> bool:
    """Whether `folder` seems to have the model, so that `converted` needs no source."""
    return any(folder.glob(f"{_stem(name, digest)}-*.onnx"))


def _stem(name: str, digest: str) -> str:
    return f"{name}-{digest[:16]}-{_BUILD}"


def _check(source: Path, digest: str) -> None:
    try:
        found = _digest(source)
    except OSError as error:
        raise ModelError(f"The model file {source.name} can not be read: {error}.") from error
    if found != digest:
        message = f"The model file {source.name} is damaged, or not the one that is known here"
        raise ModelError(f"{message} ({source}). Install or fetch it again.")


def _intact(folder: Path, stem: str) -> Path | None:
    for entry in sorted(folder.glob(f"{stem}-*.onnx")):
        try:
            if _digest(entry)[:16] == entry.stem.removeprefix(f"{stem}-"):
                return entry
            log.warning("the cached model %s is damaged and will be built anew", entry)
            entry.unlink()
        except OSError as error:
            log.warning("the cached model %s can not be used: %s", entry, error)
    return None


def _write(folder: Path, stem: str, model: bytes) -> Path | None:
    entry = folder / f"{stem}-{hashlib.sha256(model).hexdigest()[:16]}.onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(model)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(entry)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        log.warning("the converted model can not be kept in %s: %s", folder, error)
        return None
    return entry


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
