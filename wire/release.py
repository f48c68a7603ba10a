"""The version of this release, read from `pyproject.toml`: `python -m wire.release` prints it."""

import tomllib
from typing import Final

from wire.environment import ROOT


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


VERSION: Final = _version()
"""As `MAJOR.MINOR.PATCH`. Changes of the API's own version are those of `/api/schema/`."""

if __name__ == "__main__":
    print(VERSION)
