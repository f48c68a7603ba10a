"""Fetch a URL: redirects, headers and body, within the limits."""

import hashlib
import logging
import math
import ssl
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Final, Self

import httpcore
from django.conf import settings

from . import connection, formats, targets
from .connection import Budget
from .errors import DownloadError
from .targets import Target

logger = logging.getLogger(__name__)

_IN_MEMORY_BYTES: Final = 4 << 20
"""Larger bodies go to a file in the temporary folder, which goes when it is closed."""

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_TRY_AGAIN: Final = frozenset((408, 425, 429))

# Stores of files often know no better than octet-stream; S3 says it in its own way.
_OCTETS: Final = frozenset(("application/octet-stream", "binary/octet-stream"))

_TOO_LATE: Final = "The other downloads took too long, and this one was not begun."

_HEADERS: Final = (
    ("User-Agent", "Faces"),
    ("Accept", "image/*"),
    # What is decoded can be a thousand times what was sent; images are compressed already.
    ("Accept-Encoding", "identity"),
    ("Connection", "close"),
)


@dataclass(frozen=True, eq=False)
class Download:
    """An image as it was sent, not decoded yet. Use it as a context manager, or close it."""

    file: IO[bytes]
    """Can be read and sought; at its start."""
    sha256: str
    """Hexadecimal, of the bytes."""
    size: int
    """In bytes."""
    format: str
    """What the first bytes announce: see `formats.announced`."""
    final_url: str = field(repr=False)
    """After all redirects. Its query may hold a token: not for logs."""

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def fetch(url: str, *, max_bytes: int | None = None, timeout_s: float | None = None) -> Download:
    """The image at `url`, of at most `max_bytes`, or a DownloadError within `timeout_s`.

    Both are the settings FACES_DOWNLOAD_MAX_BYTES and FACES_DOWNLOAD_TIMEOUT_S unless given.
    """
    limit = settings.FACES_DOWNLOAD_MAX_BYTES if max_bytes is None else max_bytes
    time_s = settings.FACES_DOWNLOAD_TIMEOUT_S if timeout_s is None else timeout_s
    budget = Budget(time_s, settings.FACES_DOWNLOAD_CONNECT_TIMEOUT_S)
    host = "-"  # until the URL was read: what does not parse could forge log lines
    try:
        target = targets.parse(url)
        host = target.host
        download = _follow(target, budget, limit)
    except DownloadError as error:
        logger.info("download host=%s failed: %s", host, error)
        raise
    logger.info("download host=%s %s, %d bytes", host, download.format, download.size)
    return download


def fetch_many(
    urls: Iterable[str],
    *,
    max_bytes: int | None = None,
    timeout_s: float | None = None,
    in_all_s: float = math.inf,
) -> list[Download | DownloadError]:
    """`fetch` for each, FACES_DOWNLOAD_PARALLEL at a time, in the order given; limits are each's.

    Only `in_all_s` is for all together: servers that keep silent must not hold a worker for as
    long as there are URLs. Every Download in the answer is the caller's to close.
    """
    each_s = settings.FACES_DOWNLOAD_TIMEOUT_S if timeout_s is None else timeout_s
    end = time.monotonic() + in_all_s

    def outcome(url: str) -> Download | DownloadError:
        left_s = end - time.monotonic()
        if left_s <= 0:
            return DownloadError(_TOO_LATE, permanent=False)
        try:
            return fetch(url, max_bytes=max_bytes, timeout_s=min(each_s, left_s))
        except DownloadError as error:
            return error

    with ThreadPoolExecutor(settings.FACES_DOWNLOAD_PARALLEL, "download") as threads:
        try:
            # Each in a copy of this context, so that its log lines carry the request's id.
            running = [threads.submit(copy_context().run, outcome, url) for url in urls]
            return [each.result() for each in running]
        except BaseException:  # a job that is told to end must not wait for what has not begun
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _follow(target: Target, budget: Budget, max_bytes: int) -> Download:
    for _ in range(settings.FACES_DOWNLOAD_MAX_REDIRECTS + 1):
        with _faults_of(target.host):
            answer = _ask(target, budget, max_bytes)
        if isinstance(answer, Download):
            return answer
        target = answer
    raise DownloadError(f"{target.host} is the end of too many redirects.", permanent=True)


def _ask(target: Target, budget: Budget, max_bytes: int) -> Download | Target:
    """The image, or where to look for it instead."""
    url = httpcore.URL(
        scheme=target.scheme, host=target.host, port=target.port, target=target.resource
    )
    with (
        httpcore.HTTPConnection(
            url.origin,
            ssl_context=connection.tls_context() if target.scheme == "https" else None,
            network_backend=connection.Connector(target, budget),
        ) as http,
        http.stream("GET", url, headers=[("Host", target.authority), *_HEADERS]) as response,
    ):
        if response.status in _REDIRECTS:
            return targets.follow(target, _location(response, target.host))
        _check_head(response, target.host, max_bytes)
        budget.expect_body(max_bytes)
        return _receive(response, target, max_bytes)


@contextmanager
def _faults_of(host: str) -> Iterator[None]:
    """Every way in which a server or the network can fail, as a DownloadError."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate of {host} is not valid for it."
        raise DownloadError(message, permanent=True) from error
    except TimeoutError as error:
        message = f"{host} took too long to answer."
        raise DownloadError(message, permanent=False) from error
    except OSError as error:
        message = f"{host} could not be reached, or broke off."
        raise DownloadError(message, permanent=False) from error
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        message = f"{host} did not send a complete HTTP answer."
        raise DownloadError(message, permanent=False) from error


def _values(response: httpcore.Response, name: bytes) -> list[str]:
    found = (value for key, value in response.headers if key.lower() == name)
    return [value.decode("latin-1").strip().lower() for value in found]


def _location(response: httpcore.Response, host: str) -> bytes:
    found = {value for key, value in response.headers if key.lower() == b"location"}
    if len(found) != 1:
        raise DownloadError(f"{host} redirects to nowhere.", permanent=True)
    return found.pop()


def _check_head(response: httpcore.Response, host: str, max_bytes: int) -> None:
    if response.status != 200:
        permanent = response.status < 500 and response.status not in _TRY_AGAIN
        raise DownloadError(f"{host} answered {response.status}.", permanent)
    if any(value not in ("", "identity") for value in _values(response, b"content-encoding")):
        raise DownloadError(f"{host} sent the image encoded, unasked.", permanent=True)
    # None at all means octet-stream, too (RFC 9110, 8.3).
    for value in _values(response, b"content-type"):
        kind = value.partition(";")[0].strip()
        if not kind.startswith("image/") and kind not in _OCTETS:
            raise _not_an_image(host)
    # h11 took only numbers, and one. A server that promises less than it sends is cut there.
    if any(int(value) > max_bytes for value in _values(response, b"content-length")):
        raise _too_large(host, max_bytes)


def _receive(response: httpcore.Response, target: Target, max_bytes: int) -> Download:
    digest, size, head, kind = hashlib.sha256(), 0, b"", None
    with ExitStack() as on_failure:
        file = on_failure.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES))
        for chunk in response.iter_stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(target.host, max_bytes)
            if kind is None:
                head += chunk[: formats.HEAD_BYTES]
                if len(head) >= formats.HEAD_BYTES:
                    kind = _announced(head, target.host)
            digest.update(chunk)
            with _storing():
                file.write(chunk)
        kind = kind or _announced(head, target.host)
        with _storing():
            file.seek(0)
        on_failure.pop_all()
    return Download(file, digest.hexdigest(), size, kind, target.url)


def _announced(head: bytes, host: str) -> str:
    kind = formats.announced(head)
    if kind is None:
        raise _not_an_image(host)
    return kind


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.error("downloads cannot be stored: %s", error)
        raise DownloadError("The image cannot be stored here right now.", False) from error


def _not_an_image(host: str) -> DownloadError:
    return DownloadError(f"What {host} sent is not an image that can be read.", permanent=True)


def _too_large(host: str, max_bytes: int) -> DownloadError:
    return DownloadError(f"{host} sent more than {max_bytes} bytes.", permanent=True)
