"""Error reports to Sentry: the line that failed, and its exception.

Never an image, a face, a caller or a secret: no bodies, no local variables, few headers, and the
rest is scrubbed as the log is. (Sentry's own EventScrubber looks at the names of values only, and
not into messages, where a signed URL may stand.) Standard library alone, so that the backend and
the Lambda function share it.
"""

from typing import Any, Final

from wire.logs import scrub

_REQUEST_PARTS: Final = ("url", "method", "headers")
_HEADERS: Final = ("content-type", "content-length", "host", "user-agent")
"""Every other header may identify the caller."""


def options(dsn: str, environment: str) -> dict[str, Any]:
    """Arguments of `sentry_sdk.init`; integrations are the caller's."""
    return {
        "dsn": dsn,
        "environment": environment or None,
        "before_send": without_secrets,
        "send_default_pii": False,
        "max_request_body_size": "never",
        "include_local_variables": False,
        "auto_enabling_integrations": False,
    }


def without_secrets(event: Any, hint: Any = None) -> Any:
    """The part of `event` that may be sent."""
    # The extra is the command line and the arguments of jobs.
    kept = {name: part for name, part in event.items() if name not in ("user", "extra", "request")}
    if request := event.get("request"):
        request = {name: request[name] for name in _REQUEST_PARTS if name in request}
        headers = request.get("headers", {})
        request["headers"] = {name: headers[name] for name in headers if name.lower() in _HEADERS}
        kept["request"] = request
    return _scrubbed(kept)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: _scrubbed(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(part) for part in value]
    return value
