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
_BUILD = 1
_SEAL_BYTES = hashlib.sha256().digest_size


def converted(
    source: Path, digest: str, folder: Path, name: str, build: Callable[[bytes], bytes]
) -> bytes:
    """The ONNX model `name` that `build` makes of the file `source`, from `folder` if it is there.

    `digest` is the SHA-256 that the source must have: another file, or a damaged one, raises
    `ModelError`. An entry is written under a temporary name and moved into place, so that it is
    there whole or not at all, and carries its own SHA-256: one that does not match is built anew.
    A folder that can not be written to costs every start the conversion, and is logged.
    """
    entry = folder / f"{name}-{digest[:16]}-{_BUILD}.onnx.sealed"
    data = _checked(source, digest)
    found = _unsealed(entry)
    if found is None:
        found = build(data)
        _write(entry, found)
    return found


def _checked(source: Path, digest: str) -> bytes:
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ModelError(f"The model file {source.name} can not be read: {error}.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        message = f"The model file {source.name} is damaged, or not the one that is known here"
        raise ModelError(f"{message} ({len(data)} bytes at {source}). Install its package again.")
    return data


def _unsealed(entry: Path) -> bytes | None:
    try:
        sealed = entry.read_bytes()
    except OSError:
        return None
    seal, model = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
    if hashlib.sha256(model).digest() == seal:
        return model
    log.warning("the cached model %s is damaged and will be built anew", entry)
    return None


def _write(entry: Path, model: bytes) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=entry.parent, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(hashlib.sha256(model).digest() + model)
                file.flush()
                os.fsync(file.fileno())
                temporary.chmod(0o644)
                temporary.replace(entry)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        log.warning("the converted model can not be kept in %s: %s", entry.parent, error)
