"""Limits of the function. Only `handler.py` reads them from the environment."""

from dataclasses import dataclass
from typing import Final

_LOADED_MB: Final = 220
"""Resident once the models are loaded, with Python and all libraries: 150 to 180 measured."""

_BYTES_A_PIXEL: Final = 8
"""Of the largest image: Pillow keeps 4, and turning or copying it takes them once more."""

_VCPU_MB: Final = 1769
"""AWS gives processor time by memory: one core at 1769 MB
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""


@dataclass(frozen=True)
class Options:
    """Limits of one invocation; the defaults suit the smallest function, of 512 MB."""

    memory_mb: int = 512
    parallel: int = 4
    """Sources at a time: most are being downloaded or posted."""
    max_image_pixels: int = 0
    """0: what the memory allows."""
    max_download_bytes: int = 100_000_000
    download_timeout_s: float = 60.0
    callback_timeout_s: float = 30.0
    """Of one attempt."""
    attempts: int = 5
    """Of a download and of a callback, each."""
    retry_delay_s: float = 0.5
    """Before the second attempt, on average; twice as long before each further one."""
    margin_s: float = 3.0
    """Kept before the function's limit, for the last callbacks and the result."""
    detector: str = "auto"
    """yunet where its weights are in the image, else hog."""
    max_detection_pixels: int = 1920 * 1080
    runtime_api: str = ""
    """`host:port` of the runtime API, which returns other invocations: never connected to."""

    @property
    def engines(self) -> int:
        """Images searched at a time: one a core, because each uses a whole core."""
        return max(1, self.memory_mb // _VCPU_MB)

    @property
    def max_pixels(self) -> int:
        """The largest image that fits into memory beside the models."""
        if self.max_image_pixels:
            return self.max_image_pixels
        room_mb = max(64, self.memory_mb - _LOADED_MB) // self.engines
        return room_mb * (1 << 20) // _BYTES_A_PIXEL
