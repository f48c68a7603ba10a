"""Commands and links of the documentation, for tests."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.repository import codebase
from tests.repository.codebase import ROOT

DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"(?ms)^( *)```(\w*)[^\n]*\n(.*?)^\1```$")
_HEADING: Final = re.compile(r"(?m)^#+ (.+)$")
_CODE: Final = re.compile(r"`[^`\n]+`")
_LINK: Final = re.compile(r"\]\(<?([^)\s>]+)>?\)|(?:src|srcset|href)=\"([^\"]+)\"")
_SETTING: Final = re.compile(r"[A-Z][A-Z0-9_]+=\S*")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language ("" if none is named), its text, the heading above it."""

    page: Path
    line: int
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"

    def is_settings(self) -> bool:
        """Whether it shows lines of `.env`, and nothing to run."""
        return all(_SETTING.fullmatch(line) for line in self.commands())

    def commands(self) -> list[str]:
        """Its lines without comments, those that end in a backslash with what follows them."""
        lines = self.text.replace("\\\n", "").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def name(page: Path) -> str:
    """As it is named in tables: from the root of the checkout."""
    return str(page.relative_to(ROOT))


def pages() -> list[Path]:
    """Every page of the repository, by name."""
    return sorted(path for path in codebase.files() if path.suffix == ".md")


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The blocks of a page in order, of all languages if none is named."""
    text = page.read_text()
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        if not languages or match[2] in languages:
            headings = _HEADING.findall(_FENCE.sub("", before))
            yield Block(
                page=page,
                line=before.count("\n") + 1,
                heading=headings[-1] if headings else "",
                language=match[2],
                text=textwrap.dedent(match[3]),
            )


def links(page: Path) -> Iterator[str]:
    """Where the page's links and pictures lead, as written; examples in code are none."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text()))
    for match in _LINK.finditer(text):
        yield match[1] or match[2]


def anchors(page: Path) -> set[str]:
    """What may follow the `#` of a link to the page, by GitHub's rule."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
