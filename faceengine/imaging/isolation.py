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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from faceengine.errors import FaceEngineError, ImageError, Problem
from faceengine.imaging.budget import Slots

TOO_COSTLY = "The image takes more time or memory to decode than its size allows."

_TOO_MANY = "Too many images are being decoded. Please try again."

_MAX_DECODERS = 3
_MOST_OF_ONE = 2
"""At once, of one process; and of one client in it, so that its images never hold up all others."""

_WAIT_S = 10.0
"""For a free decoder; then `Busy`."""

_WALL_SHARE = 10
"""Seconds that a decoder may exist for each of processor time, on a busy machine."""


class Busy(FaceEngineError):
    """All decoders of this process are taken; the same image may be decoded later."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one decoder: processor seconds, bytes above an idle one, and its niceness."""

    seconds: int
    memory_bytes: int
    niceness: int = 0


CHECK = Limits(seconds=2, memory_bytes=280 << 20, niceness=5)
LOAD = Limits(seconds=4, memory_bytes=900 << 20)


def run(
    source: BinaryIO,
    call: str,
    limits: Limits,
    *,
    arguments: Mapping[str, int] | None = None,
    client: str | None = None,
) -> dict[str, Any]:
    """The answer of `isolated.CALLS[call]` about `source`, which `client` sent.

    `"image"` of it is a Pillow image. It is empty or not complete if the decoder was ended by a
    limit. Raises `ImageError`, or `Busy`.
    """
    request = {"call": call, "limits": asdict(limits), "arguments": {**(arguments or {})}}
    with _slots.held(client, timeout_s=_WAIT_S) as is_held, _descriptor(source) as file:
        if not is_held:
            raise Busy(_TOO_MANY)
        for _ in range(2):
            helper = _started()
            answer = _asked(helper, file, request, limits.seconds * _WALL_SHARE)
            if "started" in answer:
                return answer
            _forget(helper)  # it was killed; another one is started
    raise Busy("Images cannot be decoded at the moment. Please try again.")


_slots = Slots(_MAX_DECODERS, _MOST_OF_ONE)
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


def _asked(helper: _Helper, file: int, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """The answer of a new decoder, which gets `file`."""
    ours, theirs = socket.socketpair()
    with ours:
        try:
            with theirs:
                socket.send_fds(helper.control, [b"d"], [theirs.fileno(), file])
            ours.settimeout(timeout_s)
            ours.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            return {}
        return _answer(ours)


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
    line, pixels = b"", list[int]()
    try:
        with suppress(ConnectionError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 1)
                pixels += descriptors
                line += data
                if not data:
                    break
        for each in line.splitlines():
            with suppress(ValueError):
                received |= json.loads(each)
        return _checked(received, pixels)
    except TimeoutError:  # the machine is busy; the decoder's own alarm ends it
        raise Busy(_TOO_MANY) from None
    finally:
        for descriptor in pixels:
            os.close(descriptor)


def _checked(received: dict[str, Any], pixels: list[int]) -> dict[str, Any]:
    if "problem" in received:
        raise ImageError(Problem(received["problem"]), received["message"])
    if "fault" in received:
        raise FaceEngineError(f"A decoder failed: {received['fault']}")
    if pixels and "size" in received:
        size = (received["size"][0], received["size"][1])
        with mmap.mmap(pixels[0], 0, access=mmap.ACCESS_READ) as mapped:
            received["image"] = Image.frombytes("RGB", size, memoryview(mapped))
    return received
