"""This repository as text: its files, its imports, its settings. For the tests of the house."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from wire import environment

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = (
    "backend",
    "benchmarks",
    "faceengine",
    "lambdaworker",
    "safe_http",
    "tests",
    "tools",
    "wire",
    "wsserver",
)
_NOT_SOURCE: Final = {".git", ".venv", ".cache", "media", "run", "staticfiles"}


@cache
def files() -> tuple[Path, ...]:
    """Every tracked or new file that git does not ignore; where there is no git, every file."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        folders = [path for path in ROOT.iterdir() if path.name not in _NOT_SOURCE]
        paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
        paths = [path for path in paths if "__pycache__" not in path.parts]
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


def python_files(folder: str) -> Iterator[Path]:
    """The product's modules in `folder`: without tests and migrations."""
    for path in files():
        inside = path.relative_to(ROOT).parts
        is_product = path.suffix == ".py" and not {"tests", "migrations"} & set(inside)
        if is_product and path.is_relative_to(ROOT / folder):
            yield path


@dataclass(frozen=True)
class Import:
    """One imported name, in full: `from backend.analysis import services` has two parts more."""

    path: Path
    line: int
    name: str

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything that the module imports, also inside functions; relative names made absolute."""
    return tuple(_imports(path))


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def _imports(path: Path) -> Iterator[Import]:
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (start, node.module or "") if part)
            for alias in node.names:
                yield Import(path, node.lineno, f"{module}.{alias.name}")


PRODUCT: Final = (
    "backend",
    "faceengine",
    "lambdaworker",
    "safe_http",
    "tools",
    "wire",
    "wsserver",
)


def imports_in_strings(path: Path) -> Iterator[Import]:
    """Imports of ours in code that a module has as text, such as for another process."""
    pattern = rf"^\s*from ((?:{'|'.join(OURS)})\b[\w.]*) import (\w+(?:, \w+)*)"
    for node in _nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for module, names in re.findall(pattern, node.value, re.MULTILINE):
                for name in names.split(", "):
                    yield Import(path, node.lineno, f"{module}.{name}")


def is_there(name: str) -> bool:
    """Whether there is a module of this dotted name, or one of ours that has the last part."""
    module, _, last = name.rpartition(".")
    if _file_of(name):
        return True
    file = _file_of(module)
    return file is not None and bool(re.search(rf"\b{last}\b", file.read_text()))


def _file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def import_graph() -> dict[str, set[str]]:
    """The product's modules by dotted name, each with those that it imports anywhere in it."""
    paths = {module_name(path): path for folder in PRODUCT for path in python_files(folder)}
    return {
        name: {
            imported
            for each in imports(path)
            if (imported := _longest_prefix(each.name, paths)) and imported != name
        }
        for name, path in paths.items()
    }


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _longest_prefix(name: str, paths: dict[str, Path]) -> str:
    while name and name not in paths:
        name = name.rpartition(".")[0]
    return name


def is_standard(name: str) -> bool:
    """Whether a top-level name is of the standard library."""
    return name in sys.stdlib_module_names


def names_in(path: Path, pattern: str) -> list[str]:
    """What `pattern`'s first group matches in the file, in order, each once."""
    return list(dict.fromkeys(re.findall(pattern, path.read_text(), re.MULTILINE)))


def default_env() -> list[str]:
    """The settings of default.env, in order."""
    return list(environment.defaults(ROOT))
