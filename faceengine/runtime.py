"""What is loaded once a process: settings given by the caller, models, and the lock round both."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .errors import ModelError

Loaded = TypeVar("Loaded")

MODEL = "dlib_face_recognition_resnet_model_v1"
"""The name of the model that makes the encodings; only encodings of one model can be compared."""


def model_file(name: str) -> Path:
    """The file `name` of the package face_recognition_models, found without importing it.

    Its `__init__` needs `pkg_resources`, which setuptools 82 dropped.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModelError("The package face_recognition_models, which has the models, is missing.")
    file = Path(spec.origin).parent / "models" / name
    if not file.is_file():
        raise ModelError(f"The model file {name} is missing from face_recognition_models.")
    return file


@dataclass
class _Runtime:
    lock: threading.RLock = field(default_factory=threading.RLock)
    loaded: dict[str, Any] = field(default_factory=dict)


_runtime = _Runtime()


def once(key: str, load: Callable[[], Loaded]) -> Loaded:
    """The one object of this process called `key`; `load` makes it on first use."""
    found = _runtime.loaded.get(key)
    if found is None:
        with _runtime.lock:
            found = _runtime.loaded.get(key)
            if found is None:
                found = _runtime.loaded[key] = load()
    value: Loaded = found
    return value
