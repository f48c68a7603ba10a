"""How long an event takes from Redis to the last of many listeners.

    .venv/bin/python -m benchmarks.fanout --listeners 2000 --events 50 --json fanout.json

Starts a Redis and a websocket server of its own; the listeners live in a third process, on bare
sockets, so that what is measured is the server. An event's clock starts before it is added to the
stream and stops when the listeners' process has read the end of its frame.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from benchmarks.report import percentile
from tests.support.redis_server import RedisServer
from wire.events import STREAM, EventFace, Outcome, build_event, to_entry

_ROOT: Final = Path(__file__).resolve().parent.parent
_CONNECT_TIMEOUT_S: Final = 60.0
_SILENCE_S: Final = 10.0
"""What has not come after that much silence will not come."""
_TEXT: Final = 0x81
_PING: Final = 0x89
_PONG: Final = 0x8A


@dataclass(frozen=True)
class Result:
    """One run. Times in milliseconds; `last_*` are those of each event's last listener."""

    listeners: int
    events: int
    frame_bytes: int
    missing_frames: int
    any_p50_ms: float
    any_p99_ms: float
    last_p50_ms: float
    last_p99_ms: float
    last_max_ms: float
    server_cpu_ms_per_event: float
    server_rss_mb: float
    connect_all_s: float


def main() -> None:
    """Run once, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description="fan-out of events to many listeners")
    parser.add_argument("--listeners", type=int, default=2000)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--interval-ms", type=float, default=200.0, help="between two events")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    allow_sockets(options.listeners)
    result = measure(options.listeners, options.events, options.interval_ms / 1000)
    for name, value in asdict(result).items():
        print(f"{name:<26}{value:>12.1f}" if isinstance(value, float) else f"{name:<26}{value:>12}")
    if options.json:
        options.json.write_text(json.dumps(asdict(result), indent=2) + "\n")


def measure(listeners: int, events: int, interval_s: float) -> Result:
    """Start everything, send `events` to `listeners`, stop everything."""
    with (
        RedisServer() as redis_server,
        _websocket_server(redis_server.url) as (pid, port),
        _listeners(port, listeners, events) as pipe,
    ):
        connect_all_s = _received(pipe, _CONNECT_TIMEOUT_S)
        cpu_before_s = _cpu_s(pid)
        added = _add_events(redis_server, events, interval_s)
        arrivals, frame_bytes = _received(pipe, 3 * _SILENCE_S)
        cpu_s = _cpu_s(pid) - cpu_before_s
        rss_mb = _rss_mb(pid)
    every = [1000 * (at - added[i]) for i, times in enumerate(arrivals) for at in times]
    last = [1000 * (max(times) - added[i]) for i, times in enumerate(arrivals) if times]
    return Result(
        listeners=listeners,
        events=events,
        frame_bytes=frame_bytes,
        missing_frames=listeners * events - len(every),
        any_p50_ms=percentile(every, 50),
        any_p99_ms=percentile(every, 99),
        last_p50_ms=percentile(last, 50),
        last_p99_ms=percentile(last, 99),
        last_max_ms=max(last),
        server_cpu_ms_per_event=1000 * cpu_s / events,
        server_rss_mb=rss_mb,
        connect_all_s=connect_all_s,
    )


def _add_events(redis_server: RedisServer, count: int, interval_s: float) -> Sequence[float]:
    """Add that many events, evenly; returns when each was added."""
    added = []
    with redis_server.client() as client:
        started = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, started + number * interval_s - time.monotonic()))
            added.append(time.monotonic())
            client.xadd(STREAM, _entry())
    return added


def _entry() -> dict[Any, Any]:
    submission_id, now = str(uuid4()), datetime.now(UTC)
    face: EventFace = {"box": {"top": 171, "right": 409, "bottom": 439, "left": 141}}
    event = build_event(
        submission_id=submission_id,
        outcome=Outcome.FACES,
        created_at=now,
        processed_at=now,
        faces=(face, face),
        image_url=f"http://localhost:8282/static/processed_faces/72/46/{submission_id}.jpg",
    )
    return dict(to_entry(event, owner="1"))


@contextmanager
def _websocket_server(redis_url: str) -> Iterator[tuple[int, int]]:
    """The server's process id and port."""
    environ = {**os.environ, "CACHE_BACKEND_URL": redis_url, "FACES_WS_BIND": "127.0.0.1:0"}
    command = [sys.executable, "-m", "wsserver"]
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(command, env=environ, cwd=_ROOT, stderr=log)
        try:
            yield process.pid, _port(process, Path(log.name))
        finally:
            process.terminate()
            process.wait(timeout=60)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while process.poll() is None:
        if match := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()):
            return int(match[1])
        time.sleep(0.02)
    raise SystemExit(f"the websocket server did not start:\n{log.read_text()}")


@contextmanager
def _listeners(port: int, count: int, events: int) -> Iterator[Connection]:
    """The listeners' process; it sends when all are connected, and what arrived when."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=listen, args=(theirs, port, count, events), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _received(pipe: Connection, timeout_s: float) -> Any:
    if not pipe.poll(timeout_s):
        raise SystemExit("the listeners did not answer in time")
    return pipe.recv()


class _Listener:
    """A websocket client that only counts frames."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(
            b"GET /faces HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        self.frames = 0
        self._unread = b""

    def finish_handshake(self) -> None:
        self.socket.settimeout(_CONNECT_TIMEOUT_S)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.socket.recv(1)
        if b" 101 " not in answer:
            raise SystemExit(f"not let in: {answer!r}")
        self.socket.setblocking(False)

    def read(self) -> int:
        """How many text frames have come to their end; answers pings. Returns their last size."""
        self._unread += self.socket.recv(1 << 16)
        size = 0
        while (frame := _first_frame(self._unread)) is not None:
            kind, start, end = frame
            if kind == _TEXT:
                self.frames, size = self.frames + 1, end
            elif kind == _PING:
                # Masked with zeroes, which leave the payload as it is.
                payload = self._unread[start:end]
                self.socket.send(bytes([_PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
            self._unread = self._unread[end:]
        return size


def _first_frame(data: bytes) -> tuple[int, int, int] | None:
    """Kind, start and end of the payload of the first frame, if it is all there."""
    if len(data) < 4:
        return None
    start, length = (2, data[1]) if data[1] < 126 else (4, int.from_bytes(data[2:4], "big"))
    return (data[0], start, start + length) if start + length <= len(data) else None


def listen(pipe: Connection, port: int, count: int, events: int) -> None:
    """The listeners' process: connect all, report; note when each frame ends, report."""
    allow_sockets(count)
    started = time.monotonic()
    listeners = [_Listener(port) for _ in range(count)]
    selector = selectors.DefaultSelector()
    for listener in listeners:
        listener.finish_handshake()
        selector.register(listener.socket, selectors.EVENT_READ, listener)
    pipe.send(time.monotonic() - started)
    pipe.send(_arrivals(selector, count, events))


def _arrivals(
    selector: selectors.BaseSelector, count: int, events: int
) -> tuple[list[list[float]], int]:
    arrivals: list[list[float]] = [[] for _ in range(events)]
    missing, frame_bytes = count * events, 0
    # Ends when all is there, or nothing more comes.
    while missing and (ready := selector.select(_SILENCE_S)):
        for key, _mask in ready:
            before = key.data.frames
            frame_bytes = key.data.read() or frame_bytes
            now = time.monotonic()
            for number in range(before, key.data.frames):
                arrivals[number].append(now)
                missing -= 1
    return arrivals, frame_bytes


def allow_sockets(count: int) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 100:
        raise SystemExit(f"only {hard} files may be open here: too few for {count} listeners")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024


if __name__ == "__main__":
    main()
