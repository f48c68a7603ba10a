"""What the documentation tells its reader to run, as blocks that tests can run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sources import ROOT

DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"(?ms)^```(\w+)[^\n]*\n(.*?)^```$")
_HEADING: Final = re.compile(r"(?m)^#+ (.+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the heading above it."""

    page: Path
    line: int
    heading: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The blocks of a page in order, of all languages if none is named."""
    text = page.read_text()
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        if not languages or match[1] in languages:
            headings = _HEADING.findall(re.sub(_FENCE, "", before))
            yield Block(
                page=page,
                line=before.count("\n") + 1,
                heading=headings[-1] if headings else "",
                language=match[1],
                text=match[2],
            )
