"""Output of the command line: one JSON object a line, or one table."""

from __future__ import annotations

import json
import sys
from typing import Any

import faceengine

Row = dict[str, Any]


def described(face: faceengine.Face) -> Row:
    """A face as JSON has it."""
    quality = face.quality
    row: Row = {
        "box": face.box._asdict(),
        "score": round(quality.score, 4),
        "size_px": quality.size_px,
        "sharpness": round(quality.sharpness, 2),
        "yaw": round(quality.pose.yaw, 1),
        "roll": round(quality.pose.roll, 1),
        "reason": quality.reason,
        "rotation": face.rotation,
        "landmarks": [[round(point.x, 1), round(point.y, 1)] for point in face.landmarks],
    }
    if face.encoding is not None:
        row["encoding"] = [float(number) for number in face.encoding]
    return row


class Report:
    """Rows on standard output as they come, or all together at `close` if it is a table."""

    def __init__(self, *, table: bool) -> None:
        self.failed = False
        self._cells: list[list[str]] | None = [] if table else None

    def add(self, row: Row) -> None:
        """Print one row. An error is also printed to standard error."""
        if "error" in row:
            self.failed = True
            print(f"faceengine: {row['file']}: {row['error']}", file=sys.stderr)
        if self._cells is None:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            self._cells.extend(_lines(row))

    def close(self) -> None:
        """Print the table, if it is one."""
        if not self._cells:
            return
        widths = [max(map(len, column)) for column in zip(*self._cells, strict=True)]
        for cells in self._cells:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            print("  ".join(padded).rstrip())
        self._cells = []


def _lines(row: Row) -> list[list[str]]:
    """A row of results as lines of a table: one a face, or one that says what there is instead."""
    if "distance" in row:
        verdict = "same person" if row["same_person"] else "someone else"
        numbers = [row["face"], row["reference_face"], f"{row['distance']:.3f}"]
        return [[row["file"], *map(str, numbers), verdict]]
    if not row.get("faces"):
        return [_padded([row["file"], row.get("reason", "no face")])]
    return [
        _padded(
            [
                row["file"],
                str(index),
                *(str(edge) for edge in face["box"].values()),
                f"{face['score']:.2f}",
                f"{face['size_px']}px",
                f"{face['sharpness']:.1f}",
                f"{face['yaw']:.0f}°",
                face["reason"] or "good",
            ]
        )
        for index, face in enumerate(row["faces"])
    ]


_WIDTH = 11


def _padded(cells: list[str]) -> list[str]:
    return cells + [""] * (_WIDTH - len(cells))
