"""What the benchmarks share: rows of one table, percentiles, and the JSON beside it."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True)
class Figure:
    """One line of a table. `goal` and `note` say what was hoped for and how it was measured."""

    what: str
    value: float
    unit: str
    goal: str = ""
    note: str = ""


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: one of `values`, never something between two."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def show_and_exit(figures: Iterable[Figure], file: Path | None) -> NoReturn:
    """`show`, and end with 1 where a figure whose goal is 0 is not."""
    every = list(figures)
    show(every, file)
    raise SystemExit(1 if any(each.value for each in every if each.goal == "0") else 0)


def show(figures: Iterable[Figure], file: Path | None) -> None:
    """Print each figure as it comes, then write all of them to `file`."""
    shown = []
    for figure in figures:
        shown.append(figure)
        value = f"{figure.value:,.2f}" if abs(figure.value) < 100 else f"{figure.value:,.0f}"
        line = f"{figure.what:<58}{value:>10} {figure.unit:<9}{figure.goal:<16}{figure.note}"
        print(line.rstrip(), flush=True)
    if file:
        file.write_text(json.dumps([asdict(figure) for figure in shown], indent=2) + "\n")
