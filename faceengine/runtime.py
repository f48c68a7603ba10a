"""State of the process: its settings, the models loaded once, and the lock of both."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from faceengine.errors import ModelError

Loaded = TypeVar("Loaded")

MODEL = "dlib_face_recognition_resnet_model_v1"
"""The name of the model that makes the encodings; only encodings of one model can be compared."""

_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of the models; see `configure`."""

    model_cache: Path | None = None
    providers: tuple[str, ...] = ("cpu",)
    threads: int = 1
    yunet_model: Path | None = None


_MISSING = object()
_lock = threading.RLock()
_loaded: dict[str, Any] = {}
_settings = Settings()


def configure(
    *,
    model_cache: str | os.PathLike[str] | None = None,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    yunet_model: str | os.PathLike[str] | None = None,
) -> None:
    """Set how this process runs its models; what is not named stays as it is.

    `model_cache` is the folder of the converted models (default: `faceengine` in the user's cache
    folder). `providers` are tried in order: "cpu", "cuda", "openvino"; one that is not installed
    is a `ModelError` as soon as a model is loaded. `threads` is how many a model may use: 1 by
    default, because one worker process a core uses the cores better. `yunet_model` is a file of
    YuNet's weights to use instead of the fetched one (`faceengine.detection.yunet_weights`). Models
    that are loaded already are loaded anew on their next use.
    """
    global _settings
    unknown = [name for name in providers or () if name not in _PROVIDERS]
    if unknown or (providers is not None and not providers):
        raise ValueError(f"no such provider: {unknown}; there are {', '.join(_PROVIDERS)}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    with _lock:
        changed = _settings
        if model_cache is not None:
            changed = replace(changed, model_cache=Path(model_cache))
        if providers is not None:
            changed = replace(changed, providers=tuple(providers))
        if threads is not None:
            changed = replace(changed, threads=threads)
        if yunet_model is not None:
            changed = replace(changed, yunet_model=Path(yunet_model))
        if changed != _settings:
            _settings = changed
            _loaded.clear()


def once(key: str, load: Callable[[], Loaded]) -> Loaded:
    """The one object of this process called `key`; `load` makes it on first use."""
    found = _loaded.get(key, _MISSING)
    if found is _MISSING:
        with _lock:
            found = _loaded.get(key, _MISSING)
            if found is _MISSING:
                found = _loaded[key] = load()
    value: Loaded = found
    return value


def model_file(name: str) -> Path:
    """The file `name` of the package face_recognition_models."""
    file = _models_folder() / name
    if not file.is_file():
        raise ModelError(f"The model file {name} is missing from face_recognition_models.")
    return file


def _models_folder() -> Path:
    # Found without importing it: its `__init__` needs `pkg_resources`, which setuptools 82 dropped.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModelError("The package face_recognition_models, which has the models, is missing.")
    return Path(spec.origin).parent / "models"


def session(
    source: str | Path,
    digest: str,
    name: str,
    build: Callable[[bytes], bytes],
    *,
    arena: bool = False,
) -> Any:
    """An ONNX Runtime session of the model `name`, built from `source` of SHA-256 `digest`.

    `source` is the name of a file of dlib's, or the path of another. `arena` keeps the largest
    memory that a run needed for the next run.
    """
    from faceengine.conversion.cache import converted

    # First: a provider that is not installed needs no conversion to be refused.
    _installed()
    file = source if isinstance(source, Path) else _models_folder() / source
    return opened(converted(file, digest, cache_folder(), name, build), arena=arena)


def opened(model: Path | bytes, *, arena: bool = False) -> Any:
    """An ONNX Runtime session of a converted `model`, by the settings of `configure`."""
    # It would report this machine and every session to its makers, in the background.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _settings.threads
    options.inter_op_num_threads = 1
    # The arena keeps the largest memory it ever needed; a worker that met one huge image would
    # hold it for good.
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 3
    # From the file rather than from bytes: one copy of the weights less in memory.
    loaded = onnxruntime.InferenceSession(model, options, providers=_installed())
    _give_back()
    return loaded


def yunet_model() -> Path | None:
    """The file of YuNet's weights that `configure` named."""
    return _settings.yunet_model


def cache_folder() -> Path:
    """The folder of the converted models: by `configure`, else in the user's cache folder."""
    if _settings.model_cache is not None:
        return _settings.model_cache
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "faceengine"


def _installed() -> list[str]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    available = onnxruntime.get_available_providers()
    for name in _settings.providers:
        provider, package = _PROVIDERS[name]
        if provider not in available:
            message = f"The provider {name!r} is not installed: it comes with the package {package}"
            raise ModelError(f"{message}; this installation has {', '.join(available)}.")
    return [_PROVIDERS[name][0] for name in _settings.providers]


def _give_back() -> None:
    """Hand freed memory back to the system: building a session leaves 40 MB with glibc's malloc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _new_lock() -> None:
    # A fork copies the lock as it is; held by a thread that the child does not have, for ever.
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_new_lock)
