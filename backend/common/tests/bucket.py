"""A bucket of S3 on this machine: moto's server, which speaks the protocol over a real socket."""

import logging
import os
from typing import Any, Self
from unittest import mock

import boto3
from moto.server import ThreadedMotoServer

NAME = "faces"

SETTINGS = {
    "FACES_S3_BUCKET": NAME,
    "AWS_DEFAULT_REGION": "us-east-1",
    "FACES_S3_PREFIX": "media/",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


class BucketServer:
    """S3 with one empty bucket until the context ends."""

    def __enter__(self) -> Self:
        # What the environment names as a proxy is not for this machine.
        key = {name: SETTINGS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        self._environ = mock.patch.dict(os.environ, {"NO_PROXY": "127.0.0.1", **key})
        self._environ.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.client.create_bucket(Bucket=NAME)
        return self

    def __exit__(self, *args: object) -> None:
        self._server.stop()
        self._environ.stop()

    @property
    def url(self) -> str:
        host, port = self._server.get_host_and_port()
        return f"http://{host}:{port}"

    @property
    def settings(self) -> dict[str, str]:
        """What the service has to be told."""
        return {**SETTINGS, "AWS_ENDPOINT_URL_S3": self.url}

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )

    def names(self) -> list[str]:
        """Every key in the bucket."""
        page = self.client.list_objects_v2(Bucket=NAME)
        return [entry["Key"] for entry in page.get("Contents", ())]
