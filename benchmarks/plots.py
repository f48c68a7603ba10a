"""Line charts as SVG, several in a grid, without a library: one file that a browser opens."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Points = Sequence[tuple[float, float]]

_WIDTH: Final = 340
_HEIGHT: Final = 200
_LEFT: Final = 52
_RIGHT: Final = _WIDTH - 12
_TOP: Final = 30
_BOTTOM: Final = _HEIGHT - 34
_COLOURS: Final = ("#0b6e63", "#c2571a", "#4453a6", "#8a3570", "#6b6b2b", "#777777", "#b01f2e")


@dataclass(frozen=True)
class Chart:
    """One chart; `lines` are points of (x, y) by their name. Both axes begin at zero."""

    title: str
    x: str
    lines: Mapping[str, Points]


def write(file: Path, charts: Sequence[Chart], *, columns: int = 3) -> None:
    """Write all charts into one SVG."""
    columns = min(columns, len(charts))
    width, height = columns * _WIDTH, math.ceil(len(charts) / columns) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="10">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for index, chart in enumerate(charts):
        x, y = index % columns * _WIDTH, index // columns * _HEIGHT
        parts += [f'<g transform="translate({x},{y})">', *_chart(chart), "</g>"]
    file.write_text("\n".join([*parts, "</svg>\n"]))


def _chart(chart: Chart) -> Iterator[str]:
    every = [point for points in chart.lines.values() for point in points]
    right, top = (_round_up(max(values)) for values in zip(*every, strict=True))
    yield _text(_LEFT, 12, chart.title, "font-weight='bold'")
    yield from _axes(right, top, chart.x)
    place = _LEFT
    for colour, (name, points) in zip(_COLOURS, chart.lines.items(), strict=False):
        yield _line([(x / right, y / top) for x, y in points], colour)
        if len(chart.lines) > 1:
            yield _text(place, 24, name, f"fill='{colour}'")
            place += 6 * len(name) + 8


def _axes(right: float, top: float, x: str) -> Iterator[str]:
    for share in (0, 0.5, 1):
        at_x, at_y = _place(share, share)
        yield f'<path d="M{_LEFT},{at_y:.1f}H{_RIGHT}" stroke="#ddd"/>'
        yield _text(_LEFT - 4, at_y + 3, f"{share * top:,.6g}", "text-anchor='end'")
        yield _text(at_x, _BOTTOM + 12, f"{share * right:,.6g}", "text-anchor='middle'")
    yield _text(_RIGHT, _BOTTOM + 25, x, "text-anchor='end'")


def _line(shares: Points, colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*each) for each in shares))
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _place(x: float, y: float) -> tuple[float, float]:
    """Where a point lies; both are shares of their axis."""
    return _LEFT + x * (_RIGHT - _LEFT), _BOTTOM - y * (_BOTTOM - _TOP)


def _text(x: float, y: float, words: str, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(words)}</text>'


def _round_up(value: float) -> float:
    """The next of some round numbers."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)
