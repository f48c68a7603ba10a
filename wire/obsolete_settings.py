"""Settings that were renamed or removed: a process that still finds one refuses to start.

To rename a setting, add a row to `RENAMED`; to remove one, a row to `REMOVED` with the reason or
the replacement. Both are sorted. `wire.environment.load` does the check for every process; tests
check that `default.env` has each new name and no old one. Name the old one at the end of the
settings in docker-compose.yml too, because containers do not see `.env`, and in CHANGELOG.md.
"""

from collections.abc import Iterable
from typing import Final

RENAMED: Final[dict[str, str]] = {
    "FACEDETECTION_LAMBDA_ENDPOINT_URL": "AWS_ENDPOINT_URL_LAMBDA",
    "FACES_ANSWER_TIMEOUT_S": "FACES_SYNC_RESPONSE_TIMEOUT_S",
    "FACES_CONFIDENCE_MIDDLE": "FACES_CONFIDENCE_MIDPOINT",
    "FACES_EVENTS_KEPT": "FACES_EVENT_STREAM_MAXLEN",
    "FACES_S3_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "FACES_S3_ENDPOINT_URL": "AWS_ENDPOINT_URL_S3",
    "FACES_S3_REGION": "AWS_DEFAULT_REGION",
    "FACES_S3_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
    "FACES_UNKNOWN_BELOW": "FACES_MIN_CONFIDENCE",
    "FACES_WS_TRUSTED_PROXIES": "FACES_TRUSTED_PROXIES",
}
"""Old name → new name."""

_WS_CONSTANT: Final = "It is a constant of the websocket server now (wsserver/service.py)."

_DOWNLOAD_CONSTANT: Final = "It is a constant of downloads now (safe_http/)."

REMOVED: Final[dict[str, str]] = {
    "FACEDETECTION_LAMBDA_URL_LIFETIME_S": "The function can fetch a photo for 10 hours.",
    "FACES_DOWNLOAD_CONNECT_TIMEOUT_S": _DOWNLOAD_CONSTANT,
    "FACES_DOWNLOAD_MAX_REDIRECTS": _DOWNLOAD_CONSTANT,
    "FACES_DOWNLOAD_PARALLEL": _DOWNLOAD_CONSTANT,
    "FACES_ENCODING_CACHE_S": "Caches may keep an encoding for 300 s.",
    "FACES_FEED_TOKEN_LIFETIME_S": "A feed token is valid for an hour.",
    "FACES_GALLERY_CACHE_IDLE_S": "A gallery stays in memory for two minutes.",
    "FACES_GALLERY_FACES_PER_CONTACT": "The best 50 faces of a contact are compared.",
    "FACES_IMPORT_MAX_FACES": "A file of at most 200,000 faces can be imported.",
    "FACES_MAX_BATCH": "A batch has at most 32 images.",
    "FACES_MAX_FACES_PER_CALL": "A call has at most 100 faces.",
    "FACES_OPERATIONS_KEPT_DAYS": "Results of operations are kept for seven days.",
    "FACES_S3_ADDRESSING_STYLE": "AWS chooses by itself; with AWS_ENDPOINT_URL_S3 it is path.",
    "FACES_S3_ENCRYPTION": "The bucket's default encryption counts.",
    "FACES_S3_KMS_KEY_ID": "The bucket's default encryption counts.",
    "FACES_S3_URL_LIFETIME_S": "The URL by which nginx fetches an image is valid for a minute.",
    "FACES_SEARCH_EXACT_FACES": "Clients with at most 100,000 faces are searched exactly.",
    "FACES_URL_LIFETIME_S": "A signed link is valid for a day.",
    "FACES_WS_HANDSHAKE_TIMEOUT_S": _WS_CONSTANT,
    "FACES_WS_MAX_MESSAGES_PER_MINUTE": _WS_CONSTANT,
    "FACES_WS_MAX_MESSAGE_BYTES": _WS_CONSTANT,
    "FACES_WS_PING_INTERVAL_S": _WS_CONSTANT,
    "FACES_WS_PING_TIMEOUT_S": _WS_CONSTANT,
    "FACES_WS_REMEMBERED_EVENTS": "It is twice FACES_EVENT_STREAM_MAXLEN now.",
    "FACES_WS_SEND_BUFFER_BYTES": _WS_CONSTANT,
}
"""Old name → a sentence: the reason, and what to do instead if anything."""


def complaints(names: Iterable[str]) -> list[str]:
    """One sentence for each of `names` that is obsolete, in their order."""
    return [sentence for name in names if (sentence := _complaint(name))]


def _complaint(name: str) -> str:
    if name in RENAMED:
        return f"{name} was renamed: set {RENAMED[name]} instead."
    if name in REMOVED:
        return f"{name} was removed: {REMOVED[name]}"
    return ""
