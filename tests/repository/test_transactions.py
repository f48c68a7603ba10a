"""House rule: nothing inside a transaction reads a file or sleeps.

On SQLite every writer waits for the transaction that writes; an upload that takes a minute to read
would end the requests of all other clients with 503.
"""

import ast
import unittest
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.repository import codebase
from tests.repository.codebase import ROOT

_SLOW: Final = frozenset(
    "read readline readlines readinto chunks open sleep sha256_of check_image".split()  # noqa: SIM905
)
"""Names of calls; a method of any object counts."""


@dataclass
class _Module:
    """The functions of a module by name, and the full names of what it imports."""

    functions: dict[str, ast.AST] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module) -> "_Module":
        module = cls()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                module.functions.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    module.imported[each.asname or each.name] = f"{node.module}.{each.name}"
        return module

    def called(self, call: ast.Call) -> tuple[str, str]:
        """The module, empty for this one, and the name of the function that is called."""
        function = call.func
        if isinstance(function, ast.Name):
            module, _, name = self.imported.get(function.id, function.id).rpartition(".")
            return module, name
        if isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            if owner in ("self", "cls"):
                return "", function.attr
            return self.imported.get(owner, "?"), function.attr
        return "?", ""


class _Code:
    """The product's modules in `backend`."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._trees = {name: ast.parse(text) for name, text in sources.items()}
        self._modules = {name: _Module.of(tree) for name, tree in self._trees.items()}

    def slow_calls(self) -> set[str]:
        """`module:line name` of each transaction in which a slow call is reached."""
        return {
            f"{name}:{block.lineno} {slow}"
            for name, tree in self._trees.items()
            for block in _transactions(tree)
            for slow in self._reached(name, block, set())
        }

    def _reached(self, name: str, node: ast.AST, seen: set[tuple[str, str]]) -> Iterator[str]:
        for call in _calls(node):
            module, function = self._modules[name].called(call)
            if function in _SLOW:
                yield function
            place = module or name, function
            inner = self._modules.get(place[0], _Module()).functions.get(function)
            if inner is not None and place not in seen:
                seen.add(place)
                yield from self._reached(place[0], inner, seen)


def _transactions(tree: ast.AST) -> Iterator[ast.With | ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            heads: list[ast.expr] = [item.context_expr for item in node.items]
        elif isinstance(node, ast.FunctionDef):
            heads = node.decorator_list
        else:
            continue
        if any("transaction.atomic" in ast.unparse(head) for head in heads):
            yield node


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls in `node`, without those that run after the commit."""
    if isinstance(node, ast.Call):
        yield node
        if ast.unparse(node.func) == "transaction.on_commit":
            return
    for child in ast.iter_child_nodes(node):
        yield from _calls(child)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


class TransactionTests(unittest.TestCase):
    def test_nothing_inside_a_transaction_reads_a_file_or_sleeps(self) -> None:
        paths = codebase.python_files("backend")
        sources = {_name(path): path.read_text() for path in paths}
        self.assertEqual(_Code(sources).slow_calls(), set())

    def test_a_slow_call_is_found_also_behind_others(self) -> None:
        code = _Code(
            {
                "backend.urls": """
from backend import env
def store(upload):
    with transaction.atomic():
        transaction.on_commit(lambda: upload.read())
        env.insert(upload)
""",
                "backend.env": """
from backend.wsgi import application
def insert(upload):
    return application(upload)
""",
                "backend.wsgi": """
def application(upload):
    for chunk in upload.chunks():
        time.sleep(1)
""",
            }
        )
        self.assertEqual(code.slow_calls(), {"backend.urls:4 chunks", "backend.urls:4 sleep"})
