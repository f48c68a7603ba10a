"""The log format of every process: lines of text, or one JSON object a line.

`scrub` removes keys, tokens, signatures and queries from each line, because a log must not grant
access to anything. It is a second barrier: no log call of this project contains one.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

FORMATS: Final = ("text", "json")
"""The values of `FACES_LOG_FORMAT`."""

LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s%(context)s"

_SUBMISSION: Final = re.compile(r"\bsubmission=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")

_WORD: Final = re.compile(r"[^\s\"'<>]+")

_SECRETS: Final = (
    (
        re.compile(
            r"(?i)\b(token|signature|sessionid|csrftoken|password|x-api-key)(['\"]?\s*+[=:]\s*+)"
            r"['\"]?[^\s,;&'\"]+"
        ),
        r"\1\2[…]",
    ),
    (re.compile(r"(?i)\b(bearer)\s++\S+"), r"\1 […]"),
    # An API key, `prefix.secret`; the password in a URL.
    (re.compile(r"\b[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}\b"), "[…]"),
    (re.compile(r"(://)[^/@\s]++@"), r"\1[…]@"),
)
"""Callers choose the text, so that none takes more steps than it has characters."""

_JSON_WEB_TOKEN: Final = re.compile(r"(?<![\w-])(?>([\w-]*?)eyJ)[\w-]++\.[\w-]++\.[\w-]*+")
"""Looked for once in each row of its characters."""

_CONTROLS: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
"""What would begin another line, steer a terminal, or show a line in another order (UAX 9)."""


def scrub(text: str) -> str:
    """`text` without secrets."""
    if "?" in text:
        text = _WORD.sub(_without_query, text)
    if "eyJ" in text:
        text = _JSON_WEB_TOKEN.sub(r"\1[…]", text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _without_query(word: re.Match[str]) -> str:
    """A URL or path without its query: signed links and feeds carry their token in it."""
    text = word[0]
    query = text.find("?", text.find("/")) if "/" in text else -1
    return text if query in (-1, len(text) - 1) else f"{text[: query + 1]}[…]"


def formatter(kind: str) -> logging.Formatter:
    """The formatter of `text` or `json`."""
    return JsonFormatter() if kind == "json" else TextFormatter()


class TextFormatter(logging.Formatter):
    """A line for people: time, level, logger, message; request and client if known."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback below it if there is one."""
        known = {name: value for name, value in _context(record).items() if name != "submission"}
        record.context = "".join(f" {name}={value}" for name, value in known.items())
        return _encodable(scrub(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the library's name
        """The line without line breaks and control characters of what callers sent."""
        return _CONTROLS.sub(_escaped, super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802  the library's name
        """The traceback, whose lines stay lines."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(_CONTROLS.sub(_escaped, line) for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, message; request, client, submission if known."""

    def format(self, record: logging.LogRecord) -> str:
        """The object; a traceback is its `error`."""
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrub(record.getMessage()),
            **_context(record),
        }
        if record.exc_info:
            line["error"] = scrub(self.formatException(record.exc_info))
        text = json.dumps(line, ensure_ascii=False)
        return _encodable(_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def _escaped(control: re.Match[str]) -> str:
    return ascii(control[0])[1:-1]


def _encodable(text: str) -> str:
    """`text` with lone surrogates escaped, which no log can write."""
    return text.encode(errors="backslashreplace").decode()


def _context(record: logging.LogRecord) -> dict[str, str]:
    """The request, client and submission of a record, set by a filter or found in its text."""
    match = _SUBMISSION.search(record.getMessage())
    context = {
        "request": getattr(record, "request_id", ""),
        "client": getattr(record, "client_id", ""),
        "submission": match[1] if match else getattr(record, "submission_id", ""),
    }
    return {name: value for name, value in context.items() if value}
