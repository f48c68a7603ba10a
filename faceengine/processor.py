"""Whether the processor has what numpy's, dlib's and ONNX Runtime's packages are compiled for.

Without AVX they end the process by an illegal instruction, which no Python code can report. Only
the standard library, so that it can be asked before they load: `python -m faceengine.processor`.
"""

import ctypes
import mmap
import platform
from functools import cache
from typing import Final

NO_AVX: Final = (
    "this processor has no AVX instructions, without which numpy, dlib and ONNX Runtime cannot "
    "run: use a processor of 2011 or later, or give the virtual machine that of its host (QEMU "
    "and Proxmox: cpu type host)."
)

# push rbx; mov eax, 1; xor ecx, ecx; cpuid; mov eax, ecx; pop rbx; ret
# Intel's manual, volume 2, CPUID: leaf 1 returns in ECX bit 27 OSXSAVE, bit 28 AVX.
_FEATURES: Final = bytes.fromhex("53 b801000000 31c9 0fa2 89c8 5b c3")
_NEEDED: Final = 1 << 27 | 1 << 28


def require() -> None:
    """End the process with the sentence, if the engine cannot run here."""
    if why := complaint():
        raise SystemExit(f"Faces cannot go on: {why}")


def complaint() -> str:
    """Why the engine cannot run here, in one sentence; empty if it can."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ""
    # Not /proc/cpuinfo, which is the host's in some virtual machines.
    try:
        has = _features() & _NEEDED == _NEEDED
    except (OSError, ValueError):
        return ""  # a kernel that lets no process make code; then it is tried
    return "" if has else NO_AVX


@cache
def _features() -> int:
    """Asked each time that the package is, some times an image: anew it would take 0.1 ms."""
    access = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, mmap.PAGESIZE, prot=access) as code:
        code.write(_FEATURES)
        start = ctypes.c_char.from_buffer(code)
        found = int(ctypes.CFUNCTYPE(ctypes.c_uint32)(ctypes.addressof(start))())
        del start  # or the memory could not be unmapped
    return found


if __name__ == "__main__":
    require()
