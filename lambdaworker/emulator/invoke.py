"""Invoke: `POST /2015-03-31/functions/NAME/invocations`, for boto3 and for curl."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import urlsplit

from lambdaworker.emulator.function import MAX_PAYLOAD_BYTES
from lambdaworker.emulator.http import Requests
from lambdaworker.emulator.lambdas import Lambda

_PATH: Final = re.compile(r"/2015-03-31/functions/[^/]{1,400}/invocations/?")


class InvokeApi(Requests):
    """Any function's name means the one that is here. Signatures are not looked at."""

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/healthcheck":
            self.answer(200, b'"OK"')
        else:
            self.refuse(404, "ResourceNotFoundException", "There is nothing here.")

    def do_POST(self) -> None:
        kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        function: Lambda = self.server.app
        is_event = kind == "Event"
        most = function.function.max_event_bytes if is_event else MAX_PAYLOAD_BYTES
        if not _PATH.fullmatch(urlsplit(self.path).path):
            self.close_connection = True
            self.refuse(404, "ResourceNotFoundException", "There is nothing here.")
            return
        payload = self.body(at_most=most)
        if payload is None:
            message = f"Request must be smaller than {most} bytes for the InvokeFunction operation"
            self.refuse(413, "RequestTooLargeException", message)
        elif kind not in ("RequestResponse", "Event", "DryRun"):
            self.refuse(400, "InvalidParameterValueException", "No such invocation type.")
        elif not _is_json(payload or b"{}"):
            message = "Could not parse request body into json"
            self.refuse(400, "InvalidRequestContentException", message)
        elif kind == "DryRun":
            self.answer(204)
        elif is_event:
            invocation = function.accept(payload or b"{}")
            self.answer(202, b"", {"x-amzn-RequestId": invocation.id})
        else:
            self._call(function, payload or b"{}")

    def _call(self, function: Lambda, payload: bytes) -> None:
        invocation, answer = function.call(payload)
        if answer is None:
            self.refuse(429, "TooManyRequestsException", "Rate Exceeded.")
            return
        headers = {"x-amzn-RequestId": invocation.id, "X-Amz-Executed-Version": "$LATEST"}
        if answer.error:
            headers["X-Amz-Function-Error"] = answer.error
        self.answer(200, answer.body, headers)


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except (ValueError, RecursionError):
        return False
    return True
