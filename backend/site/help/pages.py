"""The documentation as HTML: Markdown from `docs/`, rendered once for each process.

The renderer is Python-Markdown. Links between pages lead to their addresses here, headings have the
anchors of GitHub, and nothing is inline that the Content-Security-Policy of pages refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import Element

from django.urls import reverse
from markdown import Markdown
from markdown.extensions.tables import TableExtension
from markdown.extensions.toc import TocExtension
from markdown.treeprocessors import Treeprocessor

from wire.environment import ROOT

DOCS: Final = ROOT / "docs"
INDEX: Final = "index"

_LINK: Final = re.compile(r"(?P<page>[a-z0-9/.-]+)\.md(?P<anchor>#.*)?")
_TITLE: Final = re.compile(r"(?m)^# (.+)$")


@dataclass(frozen=True)
class HelpPage:
    """One page: its name as in the address, the text of its first heading, its HTML."""

    name: str
    title: str
    html: str


@cache
def titles() -> dict[str, str]:
    """The pages that there are, by name: the index first, then by title, decisions last."""
    found = {}
    for path in DOCS.rglob("*.md"):
        heading = _TITLE.search(path.read_text())
        name = str(path.relative_to(DOCS).with_suffix(""))
        found[name] = heading[1].replace("`", "") if heading else name
    return dict(sorted(found.items(), key=lambda each: _order(*each)))


def _order(name: str, title: str) -> tuple[bool, str, str]:
    folder, _, file = name.rpartition("/")
    return name != INDEX, folder, file if folder else title.lower()


@cache
def page(name: str) -> HelpPage | None:
    """The page of this name; None where there is none."""
    if name not in titles():
        return None
    text = (DOCS / f"{name}.md").read_text()
    return HelpPage(name, titles()[name], str(_renderer(name).convert(text)))


@cache
def pictures() -> frozenset[str]:
    """The names of the files in `docs/pictures` that pages show."""
    return frozenset(
        path.name
        for path in (DOCS / "pictures").glob("*")
        if path.suffix in (".jpg", ".png", ".svg")
    )


def address(name: str) -> str:
    """The path of a page, below that of the service."""
    return f"{reverse('help')}/" if name == INDEX else f"{reverse('help_page', args=[name])}/"


def slug(heading: str, separator: str) -> str:
    """The anchor of a heading, by GitHub's rule."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def _renderer(name: str) -> Markdown:
    extensions = [
        "fenced_code",
        TableExtension(use_align_attribute=True),  # else an inline style
        TocExtension(slugify=slug),
    ]
    made = Markdown(extensions=extensions, output_format="html")
    made.treeprocessors.register(_Links(made, name), "links", 0)
    return made


class _Links(Treeprocessor):  # type: ignore[misc]  # Python-Markdown has no types
    """Links to other pages lead to their addresses; those out of `docs` become plain text."""

    def __init__(self, md: Markdown, name: str) -> None:
        super().__init__(md)
        self._folder = (DOCS / name).parent

    def run(self, root: Element) -> None:
        for element in root.iter():
            if element.tag == "a":
                self._lead(element)
            elif element.tag == "img":
                element.set("src", self._picture(element.get("src", "")))
            elif element.tag == "pre":
                element.set("tabindex", "0")  # it scrolls, also by the keyboard

    def _lead(self, link: Element) -> None:
        href = link.get("href", "")
        if ":" in href or href.startswith("#"):
            return
        match = _LINK.fullmatch(href)
        name = self._name(match["page"]) if match else ""
        if match and name in titles():
            link.set("href", address(name) + (match["anchor"] or ""))
        else:
            link.tag = "span"
            link.attrib.clear()

    def _name(self, relative: str) -> str:
        path = (self._folder / relative).resolve()
        return str(path.relative_to(DOCS)) if path.is_relative_to(DOCS) else ""

    def _picture(self, source: str) -> str:
        return reverse("help_picture", args=[Path(source).name])


def context(found: HelpPage) -> dict[str, Any]:
    """What the template shows: the page and the list of all."""
    entries = [
        {"title": title, "address": address(name), "is_here": name == found.name}
        for name, title in titles().items()
    ]
    return {"page": found, "entries": entries}
