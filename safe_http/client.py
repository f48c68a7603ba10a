"""The client: requests, redirects, headers and body, each within its limits."""

import hashlib
import logging
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import Enum
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Self, TypeAlias

import httpcore

from . import ip_policy, signatures, transport, url_policy
from .errors import FetchError, GivenUp, NotAnImage
from .transport import Budget, Connector
from .url_policy import Policy, Target

logger = logging.getLogger(__name__)

_IN_MEMORY_BYTES: Final = 2 << 20
"""A larger body goes to a temporary file, which is deleted when it is closed."""

_MAX_RETRY_AFTER_S: Final = 60.0
"""Longer pauses that a server asks for are cut to this: a Lambda function costs while it waits."""

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_TRY_AGAIN: Final = frozenset((408, 425, 429))

# File stores often know no better than octet-stream; S3 has its own name for it.
_OCTETS: Final = frozenset(("application/octet-stream", "binary/octet-stream"))

_LOOK_S: Final = 0.5
"""Seconds between two questions whether downloads may go on."""

_TOO_LATE: Final = "The other downloads took too long, and this one was not begun."

_HEADERS: Final = {
    "User-Agent": "Faces",
    # A decoded body can be a thousand times what was sent; images are compressed already.
    "Accept-Encoding": "identity",
    "Connection": "close",
}

_ACCEPT: Final = {"Accept": "image/*, */*;q=0.5"}
"""Anything else too: a service that usually answers JSON, as ours, would refuse with 406."""


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
    """By the first bytes: see `signatures.image_format`."""
    final_url: str = field(repr=False)
    """After all redirects. Its query may hold a token: not for logs."""

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True)
class Answer:
    """The answer to a request, with the beginning of its body."""

    status: int
    body: bytes = b""
    retry_after_s: float = 0.0

    def failure(self, name: str) -> FetchError:
        """The error that this answer, other than a success, means; `name` is the server's."""
        permanent = self.status < 500 and self.status not in _TRY_AGAIN
        message = f"{name} answered {self.status}."
        return FetchError(message, permanent, self.status, self.retry_after_s)


_Running: TypeAlias = "futures.Future[Download | FetchError]"


class Hold(Enum):
    """Which downloads of a `fetch_many` may go on."""

    ALL = "all"
    BEGUN = "begun"
    NONE = "none"


@dataclass(frozen=True)
class Client:
    """Requests within a policy and limits. Safe for threads; each opens its own connection."""

    max_bytes: int
    """Of a download."""
    timeout_s: float
    """Of a request or download in all, with its redirects."""
    policy: Policy = Policy()
    parallel: int = 8
    """Downloads of one `fetch_many` at a time."""
    max_redirects: int = 3

    def fetch(self, url: str, *, timeout_s: float | None = None) -> Download:
        """The image at `url`, after redirects. `timeout_s` instead of the client's own."""
        return self._fetch(url, Budget(self.timeout_s if timeout_s is None else timeout_s))

    def fetch_many(
        self,
        urls: Iterable[str],
        *,
        in_all_s: float = math.inf,
        hold: Callable[[], Hold] = lambda: Hold.ALL,
    ) -> list[Download | FetchError]:
        """`fetch` for each, in the order given; every Download is the caller's to close.

        `in_all_s` bounds all together: servers that keep silent must not hold a worker for as
        long as there are URLs. `hold` is called twice a second meanwhile, in the thread of the
        caller; downloads that may not go on are `GivenUp`.
        """
        end, is_over = time.monotonic() + in_all_s, threading.Event()

        def outcome(url: str) -> Download | FetchError:
            left_s = end - time.monotonic()
            if left_s <= 0:
                return FetchError(_TOO_LATE, permanent=False)
            try:
                return self._fetch(url, Budget(min(self.timeout_s, left_s), is_over))
            except FetchError as error:
                return error

        threads = futures.ThreadPoolExecutor(self.parallel, "download")
        try:
            # Each in a copy of this context, so that its log lines carry the request's id.
            running = [threads.submit(copy_context().run, outcome, url) for url in urls]
            _wait(running, hold)
            return [_outcome_of(each) for each in running]
        finally:
            # What still runs notices it within `_LOOK_S`, or behind its attempt to connect.
            is_over.set()
            threads.shutdown(wait=False, cancel_futures=True)

    def request(
        self,
        method: str,
        url: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = 2000,
    ) -> Answer:
        """The answer whatever its status, with `max_bytes` of its body. Follows no redirect."""
        target = url_policy.parse(url, self.policy)
        connector = Connector(target, self.policy, Budget(timeout_s))
        with (
            _faults_of(target.host),
            _exchange(connector, method, headers or {}, body) as response,
        ):
            taken = bytearray()
            for chunk in response.iter_stream():
                taken += chunk
                if len(taken) >= max_bytes:
                    break
            return Answer(response.status, bytes(taken[:max_bytes]), _retry_after_s(response))

    def problem_of(self, url: str) -> str:
        """Why the policy does not allow `url`, before its name is looked up; else empty."""
        try:
            url_policy.parse(url, self.policy)
        except FetchError as error:
            return error.message
        return ""

    def _fetch(self, url: str, budget: Budget) -> Download:
        host = "-"  # until the URL is parsed: one that does not parse could forge log lines
        try:
            target = url_policy.parse(url, self.policy)
            host = target.host
            download = self._follow(target, budget)
        except FetchError as error:
            logger.info("download host=%s failed: %s", host, error)
            raise
        logger.info("download host=%s %s, %d bytes", host, download.format, download.size)
        return download

    def _follow(self, target: Target, budget: Budget) -> Download:
        policy = self.policy
        for _ in range(self.max_redirects + 1):
            connector = Connector(target, policy, budget)
            with (
                _faults_of(target.host),
                _exchange(connector, "GET", _ACCEPT) as response,
            ):
                if response.status not in _REDIRECTS:
                    _check_head(response, target.host, self.max_bytes)
                    budget.expect_body(self.max_bytes)
                    return _receive(response, target, self.max_bytes)
                if connector.reached is ip_policy.Reach.PUBLIC:
                    policy = policy.of_strangers()
                target = url_policy.follow(target, _location(response, target.host), policy)
        raise FetchError(f"{target.host} is the end of too many redirects.", permanent=True)


def _wait(running: Sequence[_Running], hold: Callable[[], Hold]) -> None:
    """Until all have ended, or those that may go on."""
    while pending := [each for each in running if not each.done()]:
        futures.wait(pending, timeout=_LOOK_S)
        holds = Hold.ALL if all(each.done() for each in pending) else hold()
        if holds is Hold.NONE:
            return
        if holds is Hold.BEGUN:
            for each in pending:
                each.cancel()


def _outcome_of(download: _Running) -> Download | FetchError:
    if download.done() and not download.cancelled():
        return download.result()
    download.add_done_callback(_discard)
    return GivenUp()


def _discard(download: _Running) -> None:
    if not download.cancelled() and isinstance(found := download.result(), Download):
        found.close()


@contextmanager
def _exchange(
    connector: Connector, method: str, headers: Mapping[str, str], body: bytes | None = None
) -> Iterator[httpcore.Response]:
    """One request on a connection of its own; the body of the answer is still to be read."""
    target = connector.target
    url = httpcore.URL(
        scheme=target.scheme, host=target.host, port=target.port, target=target.resource
    )
    sent = [("Host", target.authority), *_HEADERS.items(), *headers.items()]
    tls = transport.tls_context() if target.scheme == "https" else None
    with (
        httpcore.HTTPConnection(url.origin, ssl_context=tls, network_backend=connector) as http,
        http.stream(method, url, headers=sent, content=body) as response,
    ):
        yield response


@contextmanager
def _faults_of(host: str) -> Iterator[None]:
    """Every way in which a server or the network can fail, as a FetchError."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate of {host} is not valid for it."
        raise FetchError(message, permanent=True) from error
    except TimeoutError as error:
        message = f"{host} took too long to answer."
        raise FetchError(message, permanent=False) from error
    except OSError as error:
        message = f"{host} could not be reached, or broke off."
        raise FetchError(message, permanent=False) from error
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        message = f"{host} did not send a complete HTTP answer."
        raise FetchError(message, permanent=False) from error


def _values(response: httpcore.Response, name: bytes) -> list[str]:
    found = (value for key, value in response.headers if key.lower() == name)
    return [value.decode("latin-1").strip().lower() for value in found]


def _retry_after_s(response: httpcore.Response) -> float:
    text = next(iter(_values(response, b"retry-after")), "")
    return min(float(text), _MAX_RETRY_AFTER_S) if text.isascii() and text.isdecimal() else 0.0


def _location(response: httpcore.Response, host: str) -> bytes:
    found = {value for key, value in response.headers if key.lower() == b"location"}
    if len(found) != 1:
        raise FetchError(f"{host} redirects to nowhere.", permanent=True)
    return found.pop()


def _check_head(response: httpcore.Response, host: str, max_bytes: int) -> None:
    if response.status != 200:
        raise Answer(response.status, retry_after_s=_retry_after_s(response)).failure(host)
    if any(value not in ("", "identity") for value in _values(response, b"content-encoding")):
        raise FetchError(f"{host} sent the image encoded, unasked.", permanent=True)
    # None at all means octet-stream, too (RFC 9110, 8.3).
    for value in _values(response, b"content-type"):
        kind = value.partition(";")[0].strip()
        if not kind.startswith("image/") and kind not in _OCTETS:
            raise _not_an_image(host)
    # h11 accepts one value of digits. A server that promises less than it sends is cut there.
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
                head += chunk[: signatures.HEAD_BYTES]
                if len(head) >= signatures.HEAD_BYTES:
                    kind = _image_format(head, target.host)
            digest.update(chunk)
            with _storing():
                file.write(chunk)
        kind = kind or _image_format(head, target.host)
        with _storing():
            file.seek(0)
        on_failure.pop_all()
    return Download(file, digest.hexdigest(), size, kind, target.url)


def _image_format(head: bytes, host: str) -> str:
    kind = signatures.image_format(head)
    if kind is None:
        raise _not_an_image(host)
    return kind


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        logger.error("downloads cannot be stored: %s", error)
        raise FetchError("The image cannot be stored here right now.", False) from error


def _not_an_image(host: str) -> NotAnImage:
    return NotAnImage(f"What {host} sent is not an image that can be read.", permanent=True)


def _too_large(host: str, max_bytes: int) -> FetchError:
    return FetchError(f"{host} sent more than {max_bytes} bytes.", permanent=True)
