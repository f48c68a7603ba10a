"""The memory of a process that analyses one image after the other.

glibc maps a block of more than 32 MiB anew for each allocation, and gives the top of its heap back
to the kernel, which clears every page again at the next image: a third of the time of a JPEG of 12
megapixels, a tenth of one of 1920×1080 (mallopt(3); `benchmarks.engine`).
"""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's `malloc.h`."""

_BLOCK_BYTES: Final = 64 << 20
"""Larger ones, of which images above 1920×1080 pixels have a few, are mapped as ever."""

_KEPT_BYTES: Final = 128 << 20


def keep_memory() -> None:
    """Keep up to 128 MiB of what an image took for the next one; also in processes forked later.

    Without effect where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_memory() -> None:
    """Return what is kept to the kernel, as before a pause; takes some milliseconds."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
