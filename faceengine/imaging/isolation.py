"""Decoding in a process of its own, which the kernel ends at a bound of time or memory.

    this process ── helper (python -m, started once) ─┬─ decoder of one image
                                                      └─ decoder of another

The helper has the decoders loaded and forks for each image, in some milliseconds. A decoder reads
the file by a descriptor, lowers its own limits, answers with a line of JSON, and ends. If it ends
without an answer, the image was too costly. The helper ends with this process.
"""

import atexit
import json
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from faceengine.errors import FaceEngineError, ImageError, Problem

TOO_COSTLY = "The image takes more time or memory to decode than its size allows."

_MAX_DECODERS = 2
"""At once, of one process."""

_WAIT_S = 10.0
"""For a free decoder; then `Busy`."""

_WALL_SHARE = 5
"""Seconds that a decoder may exist for each of processor time, on a busy machine."""


class Busy(FaceEngineError):
    """All decoders of this process are taken; the same image may be decoded later."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one decoder: processor seconds, bytes above an idle one, and its niceness."""

    seconds: int
    memory_bytes: int
    niceness: int = 0


CHECK = Limits(seconds=2, memory_bytes=280 << 20, niceness=10)
LOAD = Limits(seconds=4, memory_bytes=900 << 20)


def run(source: BinaryIO, call: str, limits: Limits, **arguments: int) -> dict[str, Any]:
    """The answer of `isolated.CALLS[call]` about `source`.

    `"image"` of it is a Pillow image. It is empty or not complete if the decoder was ended by a
    limit. Raises `ImageError`, or `Busy`.
    """
    if not _free.acquire(timeout=_WAIT_S):
        raise Busy("Too many images are being decoded. Please try again.")
    try:
        with _descriptor(source) as file, _asked(file) as connection:
            request = {"call": call, "limits": asdict(limits), "arguments": arguments}
            connection.settimeout(_WALL_SHARE * limits.seconds)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _answer(connection)
    finally:
        _free.release()


_free = threading.BoundedSemaphore(_MAX_DECODERS)
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Helper:
    """A helper of the process `owner`. A fork of that starts its own."""

    owner: int
    process: "subprocess.Popen[bytes]"
    control: socket.socket

    def end(self) -> None:
        self.control.close()
        if self.owner == os.getpid():
            self.process.wait()


_helper: _Helper | None = None


@contextmanager
def _asked(file: int) -> Iterator[socket.socket]:
    """A connection to a new decoder, which has `file`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(2):
            helper = _started()
            try:
                socket.send_fds(helper.control, [b"d"], [theirs.fileno(), file])
                break
            except OSError:  # it was killed; another one is started
                _forget(helper)
        theirs.close()
        yield ours


def _started() -> _Helper:
    global _helper
    with _starting:
        if _helper is None or _helper.owner != os.getpid():
            _helper = _start()
            atexit.register(_helper.end)
        return _helper


def _start() -> _Helper:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {root!r}); from faceengine.imaging import isolated;"
    code += f"isolated.serve({theirs.fileno()})"
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return _Helper(os.getpid(), process, ours)


def _forget(helper: _Helper) -> None:
    global _helper
    with _starting:
        if _helper is helper:
            _helper = None


@contextmanager
def _descriptor(source: BinaryIO) -> Iterator[int]:
    """A descriptor of a file with the bytes of `source`, without copying those of a real file."""
    with suppress(AttributeError, OSError):
        source.flush()
    number: int | None = None
    with suppress(AttributeError, OSError):
        number = source.fileno()
    if number is not None:
        yield number
        return
    source.seek(0)
    copy = os.memfd_create("image")
    try:
        while block := source.read(1 << 20):
            os.write(copy, block)
        yield copy
    finally:
        os.close(copy)


def _answer(connection: socket.socket) -> dict[str, Any]:
    received: dict[str, Any] = {}
    line, pixels = b"", []
    with suppress(OSError):  # also a timeout: then the decoder has overslept its alarm
        while True:
            data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
            pixels += descriptors
            line += data
            if not data:
                break
    for each in line.splitlines():
        with suppress(ValueError):
            received |= json.loads(each)
    try:
        return _checked(received, pixels)
    finally:
        for descriptor in pixels:
            os.close(descriptor)


def _checked(received: dict[str, Any], pixels: list[int]) -> dict[str, Any]:
    if "problem" in received:
        raise ImageError(Problem(received["problem"]), received["message"])
    if pixels and "size" in received:
        size = (received["size"][0], received["size"][1])
        with mmap.mmap(pixels[0], 0, access=mmap.ACCESS_READ) as mapped:
            received["image"] = Image.frombytes("RGB", size, memoryview(mapped))
    return received
