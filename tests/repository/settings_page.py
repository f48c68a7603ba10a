"""docs/settings.md, generated from default.env by `python -m tests.repository.settings_page`.

The meaning of a setting is the comment above it; what is unsafe in production stands here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.repository.codebase import ROOT

PAGE: Final = ROOT / "docs" / "settings.md"

_HEAD: Final = """\
# Settings

Every process reads `default.env`, then `.env` beside it, then its environment; the later wins, also
if empty. With Docker, `.env` beside `docker-compose.yml` and the shell's environment count. Restart
the service after a change. An invalid value stops the process that reads it with a message that
names the setting; so does a renamed or removed setting, and the message has its new name.

`python -m tests.repository.settings_page` generates this page from `default.env`.
With `ENVIRONMENT=production` the findings marked **refused** stop the service at its start.
"""

UNSAFE: Final = {
    "ENVIRONMENT": "`development`: unsafe settings are not refused.",
    "DJANGO_SECRET_KEY": "**refused**: the default, or fewer than 32 characters. The key "
    "signs links, tokens and sessions, so a known one forges them.",
    "DJANGO_SECRET_KEY_FALLBACKS": "**refused**: a key like those. A leaked one forges sessions "
    "until it is removed.",
    "DJANGO_DEBUG": "**refused**: `true`. Error pages show settings and code.",
    "DJANGO_ALLOWED_HOSTS": "**refused**: `*`, or empty. Links could point elsewhere.",
    "SERVICE_URL": "**refused**: `http://…`. Images, keys and passwords are not encrypted.",
    "FACES_HSTS_SECONDS": "`0`: a browser may be led to http first.",
    "FACES_LOG_LEVEL": "`DEBUG`: logs more about each request than you may want to keep.",
    "DATABASE_URL": "Without `?sslmode=verify-full` across a foreign network: faces and hashes of "
    "keys are not encrypted.",
    "CACHE_BACKEND_URL": "A Redis without a password that others reach: they could queue jobs and "
    "read events.",
    "FACES_S3_BUCKET": "A bucket that is public, or keeps old versions of deleted objects.",
    "AWS_ENDPOINT_URL_S3": "`http://…` across a foreign network: images are not encrypted.",
    "FACES_MAX_UPLOAD_BYTES": "Much more than the default: disks and memory fill.",
    "FACES_KEEP_ORIGINALS": "`true`: places and devices of photos are kept.",
    "FACES_MAX_IMAGE_PIXELS": "Much more than the default: one image may take all memory.",
    "FACES_DOWNLOAD_ALLOWED_HOSTS": "Hosts with more than images: clients choose the path.",
    "FACES_REQUIRE_API_KEY": "`false` where strangers reach the service: all share one space.",
    "FACES_ALLOWED_ORIGINS": "`*` without keys: any page that a user visits can use the service.",
    "FACES_REQUEST_RATE": "Empty where strangers reach the service.",
    "FACES_UPLOAD_RATE": "Empty where strangers reach the service.",
    "FACES_UPLOAD_BYTES_RATE": "Empty where strangers reach the service: one can fill the disk.",
    "FACES_LOGIN_RATE": "Empty: passwords can be guessed without a limit.",
    "FACES_ADMIN_NETWORKS": "Empty: a stolen password of staff is enough, from anywhere.",
    "FACES_STAFF_SECOND_FACTOR": "`false`: a stolen password of staff is enough.",
    "FACES_EMAIL_URL": "`smtp://…` across a foreign network: links are not encrypted.",
    "FACES_OIDC_ISSUER": "`http://…`: logins can be forged on the way.",
    "FACES_OIDC_SIGN_UP": "`true` with a provider at which anybody can register.",
    "FACES_RETENTION_DAYS": "`0`: pictures of people are kept for ever.",
    "FACES_BIND": "`0.0.0.0` opens the service to the network: put TLS in front of it.",
    "FACES_TRUSTED_PROXIES": "**refused**: empty. Networks with clients in them: they could "
    "claim any address and escape every limit for an address.",
    "FACES_BACKEND_BIND": "An address that others reach, on the machine too: callers could "
    "bypass nginx and claim any address.",
    "FACES_WS_BIND": "An address that others reach, on the machine too: callers could claim "
    "any address.",
    "FACES_WS_MAX_CONNECTIONS_PER_ADDRESS": "`0`: one address can take all connections.",
    "FACES_WS_MAX_CONNECTIONS_PER_CLIENT": "`0`: one client can take all connections.",
}
"""What not to do where it matters; **refused** is what `backend/common/checks.py` finds."""


@dataclass(frozen=True)
class Setting:
    """One line of default.env, with the comment that explains it."""

    name: str
    default: str
    meaning: str


def page() -> str:
    """The whole page."""
    tables = [_table(title, settings) for title, settings in sections()]
    return "\n".join([_HEAD, *tables])


def sections() -> Iterator[tuple[str, list[Setting]]]:
    """The parts of default.env, by their titles."""
    title, settings, comment = "", list[Setting](), list[str]()
    after_setting = False
    for line in (ROOT / "default.env").read_text().splitlines():
        if line.startswith("# ---"):
            if settings:
                yield title, settings
            title, settings, comment = line.strip("# -"), [], []
        elif line.startswith("#"):
            comment = [*([] if after_setting else comment), line.strip("# ")]
        elif line:
            name, _, default = line.partition("=")
            # Two settings in a row share the comment above them.
            settings.append(Setting(name, default, " ".join(comment)))
        after_setting = bool(line) and not line.startswith("#")
    yield title, settings


def _table(title: str, settings: list[Setting]) -> str:
    rows = [
        f"## {title}\n",
        "| setting | default | meaning | unsafe in production |",
        "|---|---|---|---|",
    ]
    for each in settings:
        default = f"`{each.default}`" if each.default else "empty"
        meaning = each.meaning.replace("|", "\\|")
        rows.append(f"| `{each.name}` | {default} | {meaning} | {UNSAFE.get(each.name, '')} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
