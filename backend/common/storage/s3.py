"""The storage of all media in a private S3 bucket.

Nothing here is loaded unless `FACES_S3_BUCKET` names one (`STORAGES` in the settings).
"""

import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache, wraps
from typing import IO, Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.base import File
from django.utils.encoding import filepath_to_uri
from storages.backends.s3 import S3Storage

from backend.common.storage.base import StorageError

_IN_MEMORY_BYTES: Final = 8 << 20
"""A larger file is read into a temporary file, as uploads are."""

# One request for each file, whatever its size (S3 takes 5 GB in one): parts of an upload whose
# sender was killed would stay in the bucket, where no listing shows them.
_TRANSFER: Final = TransferConfig(multipart_threshold=5 << 30, use_threads=False)

_URL_LIFETIME_S: Final = 60
"""Of the URLs by which nginx fetches images; clients never see them."""

_ATTEMPTS: Final = 3
_CONNECT_TIMEOUT_S: Final = 3
_READ_TIMEOUT_S: Final = 15

_HURRIED: Final = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
"""For the readiness check, which is asked every few seconds."""

_MISSING: Final = ("404", "NoSuchKey", "NotFound")

P = ParamSpec("P")
R = TypeVar("R")


def _translated(
    method: Callable[Concatenate["PrivateBucket", P], R],
) -> Callable[Concatenate["PrivateBucket", P], R]:
    """Turn the errors of botocore into `FileNotFoundError` or `StorageError`."""

    @wraps(method)
    def call(self: "PrivateBucket", *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _MISSING:
                raise FileNotFoundError(str(error)) from error
            raise StorageError(f"S3 refused: {error}") from error
        except BotoCoreError as error:
            raise StorageError(f"S3 is out of reach: {error}") from error

    return cast(Callable[Concatenate["PrivateBucket", P], R], call)


class PrivateBucket(S3Storage):  # type: ignore[misc]  # it has no types
    """The bucket of the settings. No object is public, no name is used twice."""

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "bucket_name": settings.FACES_S3_BUCKET,
            "region_name": settings.AWS_DEFAULT_REGION or None,
            "endpoint_url": settings.AWS_ENDPOINT_URL_S3 or None,
            "location": settings.FACES_S3_PREFIX,
            # boto3 finds the key itself: in the environment, or by the role of the machine.
            "access_key": None,
            "secret_key": None,
            "security_token": None,
            "file_overwrite": False,
            # Buckets of today refuse every ACL, and give what is stored to their owner alone.
            "default_acl": None,
            "querystring_expire": _URL_LIFETIME_S,
            "client_config": _config(),
            "transfer_config": _TRANSFER,
        }

    @property
    def connection(self) -> Any:
        return _resource(os.getpid(), self.region_name, self.endpoint_url)

    @property
    def _client(self) -> Any:
        return self.connection.meta.client

    @property
    def bucket(self) -> Any:
        return self.connection.Bucket(self.bucket_name)

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        """By our own name of the file: a type of the uploader's could make it run as a page."""
        kind = mimetypes.guess_type(name)[0] or self.default_content_type
        return {"ContentType": kind}

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        if mode != "rb":
            raise ValueError("Stored files are only read, or saved as a whole.")
        return _StoredFile(self, name)

    @_translated
    def read(self, name: str) -> IO[bytes]:
        """The whole file, already read: errors of S3 come here and not later."""
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  the caller's
        try:
            self._client.download_fileobj(**self._where(name), Fileobj=file, Config=_TRANSFER)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    @_translated
    def _save(self, name: str, content: "File[Any]") -> str:
        return str(super()._save(name, content))

    @_translated
    def exists(self, name: str) -> bool:
        return bool(super().exists(name))

    @_translated
    def delete(self, name: str) -> None:
        self._client.delete_object(**self._where(name))

    @_translated
    def size(self, name: str) -> int:
        return int(self._client.head_object(**self._where(name))["ContentLength"])

    @_translated
    def get_modified_time(self, name: str) -> datetime:
        modified: datetime = self._client.head_object(**self._where(name))["LastModified"]
        return modified

    @_translated
    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        folders, files = super().listdir(name)
        return folders, files

    def walk(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Name and time of every file in `folder` and below; a thousand come with one request."""
        token: dict[str, str] = {}
        while True:
            page = self._page(folder, token)
            start = len(self._normalize_name(""))
            for entry in page.get("Contents", ()):
                yield entry["Key"][start:].lstrip("/"), entry["LastModified"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    @_translated
    def _page(self, folder: str, token: dict[str, str]) -> dict[str, Any]:
        prefix = self._normalize_name(folder).rstrip("/")
        prefix += "/" if prefix else ""
        page: dict[str, Any] = self._client.list_objects_v2(
            Bucket=self.bucket_name, Prefix=prefix, **token
        )
        return page

    def url(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Our own URL of the file, as on disk; it is authorised there."""
        return f"{settings.MEDIA_URL}{filepath_to_uri(name)}"

    @_translated
    def signed_url(self, name: str, headers: Mapping[str, str]) -> str:
        """A URL for nginx, valid for a while for this file with these headers."""
        asked = {f"Response{each.replace('-', '')}": value for each, value in headers.items()}
        return str(super().url(name, parameters=asked))

    @_translated
    def check(self) -> None:
        """Raise `StorageError` if the bucket does not answer at once, or refuses."""
        client = _resource(os.getpid(), self.region_name, self.endpoint_url, True).meta.client
        try:
            client.head_bucket(Bucket=self.bucket_name)
        except ClientError as error:
            raise StorageError(f"S3 refused: {error}") from error

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket_name, "Key": self._normalize_name(name)}


class _StoredFile(File):  # type: ignore[type-arg]
    """A file that was read from the bucket; closed, it can be opened again, as on disk."""

    def __init__(self, storage: PrivateBucket, name: str) -> None:
        super().__init__(storage.read(name), name)
        self._storage = storage

    def open(self, *args: Any, **kwargs: Any) -> Self:
        if self.closed:
            assert self.name is not None
            self.file = self._storage.read(self.name)
        self.seek(0)
        return self


@lru_cache(maxsize=4)
def _resource(pid: int, region: str | None, endpoint_url: str | None, hurried: bool = False) -> Any:
    """One for all threads of a process, because each costs 50 ms and some megabytes.

    A forked child makes its own: two processes on one socket would mix up their answers.
    """
    config = _config().merge(_HURRIED) if hurried else _config()
    return boto3.session.Session().resource(
        "s3", region_name=region, endpoint_url=endpoint_url, config=config
    )


def _config() -> Config:
    """Failed requests are repeated, within a bounded time.

    Checksums are used with AWS only, because not every other service knows them.
    """
    checksums = "when_required" if settings.AWS_ENDPOINT_URL_S3 else "when_supported"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if settings.AWS_ENDPOINT_URL_S3 else "auto"},
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=settings.FACES_WEB_THREADS,
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
