"""The settings files that every process reads: `default.env`, then `.env`, under the environment.

`default.env` holds every setting with its default; `.env`, if there is one, overrides it; a
variable in the environment of the process overrides both, also when it is empty.

A renamed or removed setting is refused (`wire.obsolete_settings`), because ignoring it would
silently apply the default.
"""

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Final

from wire import obsolete_settings

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: where `default.env` lies."""

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class SettingsFileError(Exception):
    """A line of a settings file cannot be read, or a setting is obsolete. Names the place."""


def load(root: Path = ROOT, environ: MutableMapping[str, str] = os.environ) -> None:
    """Fill `environ` with the settings it does not name itself."""
    _refuse_obsolete(environ, "the environment")
    for name, value in read(root).items():
        environ.setdefault(name, value)


def read(root: Path = ROOT) -> Mapping[str, str]:
    """The settings of `default.env` and `.env` in `root`, the second over the first."""
    settings = dict(defaults(root))
    if (root / ".env").exists():
        own = dict(_parse(root / ".env"))
        _refuse_obsolete(own, str(root / ".env"))
        settings.update(own)
    return settings


def defaults(root: Path = ROOT) -> Mapping[str, str]:
    """The settings of `default.env` alone."""
    return dict(_parse(root / "default.env"))


def _refuse_obsolete(settings: Mapping[str, str], place: str) -> None:
    if found := obsolete_settings.complaints(settings):
        raise SettingsFileError(f"{place} has settings of an older version. {' '.join(found)}")


def _parse(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise SettingsFileError(f"{path}, line {number}: expected NAME=value")
        yield match[1], _unquote(match[2].strip())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsFileError(f"{path} cannot be read: {error}") from error


def _unquote(value: str) -> str:
    """Strip one pair of quotes, or a trailing ` # comment` from a value without them."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip() if not value.startswith("#") else ""
