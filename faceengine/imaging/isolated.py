"""The helper and its decoders: the other side of `isolation`."""

import json
import mmap
import os
import resource
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import AvifImagePlugin, Image

from faceengine.errors import ImageError
from faceengine.imaging import decode, inspection, isolation, metadata

_MIB = 1 << 20

_BY_LIMIT = (signal.SIGKILL, signal.SIGXCPU, signal.SIGALRM)


def serve(descriptor: int) -> None:
    """Fork a decoder for each message, until the process that asks has ended."""
    _prepare()
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
            _reap(os.WNOHANG if message else 0)
            if not message:
                return
            if os.fork() == 0:
                _decoder(descriptors)
            for each in descriptors:
                os.close(each)


def _prepare() -> None:
    # Signals to the whole group are for the process that asks: its requests go on until it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # of Pillow, about damaged metadata
    Image.init()
    import pillow_heif

    # One thread each, as everywhere; and the stacks of others would count as memory.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pillow_heif.options.DECODE_THREADS = 1


def _reap(options: int) -> None:
    """Wait for decoders that have ended, so that their usage is counted as the helper's."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, options))[0]:
            if os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) not in _BY_LIMIT:
                print("a decoder crashed, signal", os.WTERMSIG(ended[1]), file=sys.stderr)


def _decoder(descriptors: list[int]) -> None:
    """Answer one request, and end."""
    code = 1
    try:
        answer_to, file = descriptors
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints what is wrong with a file
        with socket.socket(fileno=answer_to) as connection:
            request = json.loads(connection.makefile("rb").readline())
            _send(connection, started=True)
            _limit(**request["limits"])
            CALLS[request["call"]](connection, f"/proc/self/fd/{file}", **request["arguments"])
        code = 0
    finally:
        os._exit(code)


def _limit(seconds: int, memory_bytes: int, niceness: int) -> None:
    os.nice(niceness)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # A decoder that waits for a disk uses no processor time.
    signal.alarm(isolation._WALL_SHARE * seconds + 1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * mmap.PAGESIZE + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with suppress(OSError):  # the kernel ends this process before one that serves others
        Path("/proc/self/oom_score_adj").write_text("800")


def _check(connection: socket.socket, path: str, *, max_pixels: int) -> None:
    def opened(format: str, size: tuple[int, int]) -> None:
        cost = inspection.estimate(format, size[0] * size[1], Path(path).stat().st_size)
        decode.refuse_beyond(cost)
        is_large = inspection.is_beyond(cost, isolation.CHECK)
        _send(connection, format=format, width=size[0], height=size[1], whole=is_large)
        if is_large:
            os._exit(0)  # a worker finds out whether it is whole

    _answer(connection, lambda: decode.check_here(path, max_pixels=max_pixels, opened_as=opened))


def _load(connection: socket.socket, path: str, *, enough_pixels: int, max_pixels: int) -> None:
    def load() -> None:
        image, size = decode.load_here(path, enough_pixels, max_pixels=max_pixels)
        pixels = os.memfd_create("pixels")
        _write(pixels, image)
        line = json.dumps({"size": image.size, "full_size": size}).encode() + b"\n"
        socket.send_fds(connection, [line], [pixels])

    _answer(connection, load)


def _taken_at(connection: socket.socket, path: str) -> None:
    taken = metadata.taken_here(path)
    _send(connection, taken_at=taken.isoformat() if taken else None)


CALLS: dict[str, Callable[..., None]] = {"check": _check, "load": _load, "taken_at": _taken_at}


def _answer(connection: socket.socket, do: Callable[[], Any]) -> None:
    try:
        result = do()
    except ImageError as error:
        _send(connection, problem=error.reason, message=str(error))
    except MemoryError:
        pass
    except Exception as error:  # the edge of the process: a fault of ours, or of the disk
        _send(connection, fault=repr(error))
    else:
        if isinstance(result, decode.ImageInfo):
            info = {"format": result.format, "width": result.width, "height": result.height}
            _send(connection, whole=True, **info)


def _send(connection: socket.socket, **values: Any) -> None:
    connection.sendall(json.dumps(values).encode() + b"\n")


def _write(file: int, image: Image.Image) -> None:
    """The pixels in rows of RGB, some rows at a time."""
    rows = max(1, _MIB // (3 * image.width))
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        strip = memoryview(image.crop((0, top, image.width, bottom)).tobytes())
        while strip:
            strip = strip[os.write(file, strip) :]
