"""The documentation is true: its links lead somewhere, its commands run, its site is whole."""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import unquote, urlsplit

import yaml
from django.core.management import get_commands

from faceengine import cli
from tests.repository import codebase, documents
from tests.repository.codebase import ROOT
from tests.repository.documents import DOCS, blocks, name, pages
from tests.support import prerequisites

_COMMAND: Final = re.compile(r"(?m)^\s*(?:docker |curl |make |\.venv/bin/python |manage\.py )")
_ELSEWHERE: Final = re.compile(
    r"<(?:script|img|source|iframe)[^>]+src=[\"']?(?:https?:)?//"
    r"|<link[^>]+rel=[\"']?(?:stylesheet|icon|preload|preconnect|prefetch)[^>]+href=[\"']?(?:https?:)?//"
    r"|@import|url\([\"']?(?:https?:)?//"
)


class PageTests(unittest.TestCase):
    def test_every_link_leads_to_a_file_and_a_heading_that_exist(self) -> None:
        wrong = [
            f"{name(page)}: {link}"
            for page in pages()
            for link in documents.links(page)
            if not _leads_somewhere(page, link)
        ]
        self.assertEqual(wrong, [])

    def test_every_answer_that_is_shown_can_be_read(self) -> None:
        read: dict[str, Callable[[str], object]]
        read = {"json": json.loads, "yaml": yaml.safe_load, "python": ast.parse}
        for block in (each for page in pages() for each in blocks(page, *read)):
            with self.subTest(str(block)):
                read[block.language](block.text)

    def test_every_command_is_marked_as_such(self) -> None:
        plain = [block for page in pages() for block in blocks(page, "")]
        self.assertEqual([str(each) for each in plain if _COMMAND.search(each.text)], [])

    def test_tests_that_are_named_exist(self) -> None:
        files = [path for path in codebase.files() if path.suffix == ".py"]
        code = "\n".join(path.read_text() for path in files if "tests" in path.parts)
        there = set(re.findall(r"\b(?:def|class) (\w+)", code)) | {path.stem for path in files}
        for page in pages():
            with self.subTest(name(page)):
                named = re.findall(r"`(test_\w+|[A-Z]\w+Tests)`", page.read_text())
                self.assertEqual(set(named) - there, set())

    def test_settings_that_are_shown_exist(self) -> None:
        shown = {
            command.partition("=")[0]
            for page in pages()
            for block in blocks(page, "sh")
            if block.is_settings()
            for command in block.commands()
        }
        self.assertEqual(shown - set(codebase.default_env()), set())


def _leads_somewhere(page: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not parts.fragment or parts.fragment in documents.anchors(target)


class CommandsPageTests(unittest.TestCase):
    """docs/commands.md has every command there is, and no other."""

    page = DOCS / "commands.md"

    def test_every_command_of_manage_py(self) -> None:
        ours = {each for each, app in get_commands().items() if app.startswith("backend.")}
        self.assertEqual(self.under("manage.py", r"([a-z_]+)"), ours)

    def test_every_target_of_make(self) -> None:
        phony = re.search(r"(?m)^\.PHONY: (.+)$", (ROOT / "Makefile").read_text())
        assert phony is not None
        # What others are made of.
        inner = {"setup", "setup-test", "python"}
        self.assertEqual(self.under("make", r"make ([\w-]+)"), set(phony[1].split()) - inner)

    def test_every_command_of_the_engine(self) -> None:
        helped = subprocess.run(
            [sys.executable, "-m", cli.__package__, "--help"], capture_output=True, text=True
        )
        there = set(re.findall(r"(?m)^    (\w+)  ", helped.stdout))
        self.assertEqual(self.under("python -m", r"python -m faceengine (\w+)"), there)

    def test_every_module_that_is_named_can_be_run(self) -> None:
        for module in self.under("python -m", r"python -m ([\w.]+)"):
            path = ROOT / module.replace(".", "/")
            self.assertTrue(
                path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
            )

    def under(self, heading: str, pattern: str) -> set[str]:
        """What `pattern` matches at the beginning of the first column of the heading's tables."""
        (part,) = re.findall(
            rf"(?ms)^## {re.escape(heading)}$(.*?)(?=^## |\Z)", self.page.read_text()
        )
        return set(re.findall(rf"(?m)^\| `{pattern}", part))


class SiteTests(unittest.TestCase):
    """`make docs`."""

    folder: ClassVar[Path]
    built: ClassVar[subprocess.CompletedProcess[str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        prerequisites.require("docs")
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="faces-site-")))
        cls.built = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(cls.folder)],
            cwd=ROOT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
            capture_output=True,
            text=True,
        )

    def test_it_is_built_without_a_warning(self) -> None:
        self.assertEqual(self.built.returncode, 0, self.built.stderr)

    def test_every_page_is_in_the_navigation(self) -> None:
        menu = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
        listed = re.findall(r": ([\w/-]+\.md)$", menu, re.MULTILINE)
        there = [str(page.relative_to(DOCS)) for page in pages() if page.is_relative_to(DOCS)]
        self.assertEqual(sorted(listed), there)

    def test_it_requests_nothing_of_other_servers(self) -> None:
        files = [path for path in self.folder.rglob("*") if path.suffix in (".html", ".css")]
        self.assertGreater(len(files), len(list(DOCS.glob("*.md"))))
        wrong = [
            f"{path.relative_to(self.folder)}: {found[0]}"
            for path in files
            for found in _ELSEWHERE.finditer(path.read_text())
        ]
        self.assertEqual(wrong, [])
        # A diagram would have the theme fetch its painter from a CDN.
        self.assertEqual([path for path in files if 'class="mermaid"' in path.read_text()], [])
