"""Photographs with annotated faces, spoiled in many ways, and pictures without a face.

For `benchmarks.detectors`. Noise and drawings are seeded, so each run sees the same pixels.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

Circle = tuple[float, float, float]
"""The middle of a face, x and y, and the side of the square round it, in pixels."""


@dataclass(frozen=True)
class Sample:
    """A picture and the faces in it."""

    image: Image.Image
    faces: tuple[Circle, ...]
    others: tuple[Circle, ...] = ()
    """Faces that are partly in it: neither missed nor false."""


Change = Callable[[Sample], Iterator[Sample]]


def annotated(folder: Path) -> list[Sample]:
    """The photos of `boxes.json` in `folder`: {name: [{left, top, width, height}, …]}."""
    truth = json.loads((folder / "boxes.json").read_text())
    return [
        Sample(
            Image.open(folder / name).convert("RGB"),
            tuple(
                (
                    box["left"] + box["width"] / 2,
                    box["top"] + box["height"] / 2,
                    (box["width"] + box["height"]) / 2,
                )
                for box in boxes
            ),
        )
        for name, boxes in truth.items()
    ]


def _pixels(work: Callable[[Image.Image], Image.Image]) -> Change:
    def change(sample: Sample) -> Iterator[Sample]:
        yield Sample(work(sample.image), sample.faces)

    return change


def _scaled(factor: float) -> Change:
    def change(sample: Sample) -> Iterator[Sample]:
        size = round(sample.image.width * factor), round(sample.image.height * factor)
        faces = tuple((x * factor, y * factor, side * factor) for x, y, side in sample.faces)
        yield Sample(sample.image.resize(size, Image.Resampling.BOX), faces)

    return change


def _tilted(degrees: float) -> Change:
    """Turned anticlockwise, on a canvas that keeps every pixel."""

    def change(sample: Sample) -> Iterator[Sample]:
        image = sample.image.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        faces = []
        for x, y, side in sample.faces:
            across, down = x - sample.image.width / 2, y - sample.image.height / 2
            place = across * cos + down * sin, down * cos - across * sin
            faces.append((image.width / 2 + place[0], image.height / 2 + place[1], side))
        yield Sample(image, tuple(faces))

    return change


def _noisy(image: Image.Image, spread: float = 25) -> Image.Image:
    noise = numpy.random.default_rng(7).normal(0, spread, (image.height, image.width, 3))
    return Image.fromarray((numpy.asarray(image) + noise).clip(0, 255).astype(numpy.uint8))


def _dark(image: Image.Image) -> Image.Image:
    return _noisy(ImageEnhance.Brightness(image).enhance(0.25), 8)


def _compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=10)
    return Image.open(file).convert("RGB")


def _covered(first: float, last: float) -> Change:
    """A grey bar over each face, from `first` to `last` of its height."""

    def change(sample: Sample) -> Iterator[Sample]:
        image = sample.image.copy()
        draw = ImageDraw.Draw(image)
        for x, y, side in sample.faces:
            top = y - side / 2
            bar = (x - side * 0.6, top + first * side, x + side * 0.6, top + last * side)
            draw.rectangle(bar, (110, 110, 110))
        yield Sample(image, sample.faces)

    return change


def _cropped(sample: Sample) -> Iterator[Sample]:
    """Each face by itself, with a fifth of its box beyond the picture's left edge."""
    for face in sample.faces:
        x, y, side = face
        left, top = max(0, round(x - 0.3 * side)), max(0, round(y - 1.5 * side))
        crop = sample.image.crop(
            (
                left,
                top,
                min(sample.image.width, left + round(3 * side)),
                min(sample.image.height, top + round(3 * side)),
            )
        )
        others = tuple((a - left, b - top, c) for a, b, c in sample.faces if (a, b, c) != face)
        yield Sample(crop, ((x - left, y - top, side),), others)


CHANGES: dict[str, Change] = {
    "unchanged": _pixels(lambda image: image),
    "half size": _scaled(0.5),
    "quarter size": _scaled(0.25),
    "tilted 15°": _tilted(15),
    "tilted 30°": _tilted(30),
    "tilted 45°": _tilted(45),
    "turned 90°": _tilted(90),
    "turned 180°": _tilted(180),
    "turned 270°": _tilted(270),
    "blurred σ 1": _pixels(lambda image: image.filter(ImageFilter.GaussianBlur(1))),
    "blurred σ 2": _pixels(lambda image: image.filter(ImageFilter.GaussianBlur(2))),
    "blurred σ 3": _pixels(lambda image: image.filter(ImageFilter.GaussianBlur(3))),
    "dark, with noise": _pixels(_dark),
    "noise": _pixels(_noisy),
    "JPEG quality 10": _pixels(_compressed),
    "mouth covered": _covered(0.62, 1.05),
    "eyes covered": _covered(0.1, 0.45),
    "greyscale": _pixels(lambda image: image.convert("L").convert("RGB")),
    "cut at the edge": _cropped,
}


def faceless(folder: Path | None) -> list[Image.Image]:
    """40 drawn pictures, and those of `folder`, which must have none."""
    files = sorted(folder.iterdir()) if folder else []
    return [*map(_drawn, range(40)), *(Image.open(file).convert("RGB") for file in files)]


def _drawn(seed: int) -> Image.Image:
    """Shapes, textures, gradients and text, one kind after another."""
    random = numpy.random.default_rng(seed)
    return (_shapes, _texture, _gradient, _writing)[seed % 4](random)


def _shapes(random: numpy.random.Generator) -> Image.Image:
    image = Image.new("RGB", (640, 480), _colour(random))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = int(random.integers(640)), int(random.integers(480))
        width, height = (int(each) for each in random.integers(5, 120, 2))
        shape = draw.ellipse if random.random() < 0.6 else draw.rectangle
        shape((x, y, x + width, y + height), _colour(random), _colour(random))
    return image


def _texture(random: numpy.random.Generator) -> Image.Image:
    """Noise of several scales on top of each other, as clouds and bark have."""
    total = numpy.zeros((480, 640, 3))
    for power in range(1, 8):
        rows, columns = max(2, 480 >> power), max(2, 640 >> power)
        noise = random.integers(0, 256, (rows, columns, 3)).astype(numpy.uint8)
        level = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)
        total += numpy.asarray(level, numpy.float64) * 2.0**power
    return Image.fromarray((total / total.max() * 255).astype(numpy.uint8))


def _gradient(random: numpy.random.Generator) -> Image.Image:
    rows, columns = numpy.mgrid[:480, :640]
    waves: NDArray[numpy.float64] = numpy.stack(
        [
            numpy.sin(rows / random.uniform(5, 60)) + numpy.cos(columns / random.uniform(5, 60))
            for _ in range(3)
        ],
        2,
    )
    return Image.fromarray(((waves + 2) * 63).astype(numpy.uint8))


def _writing(random: numpy.random.Generator) -> Image.Image:
    image = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(image)
    for top in range(10, 470, int(random.integers(12, 30))):
        letters = random.integers(33, 127, 80)
        draw.text((10, top), "".join(map(chr, letters)), _colour(random))
    return image


def _colour(random: numpy.random.Generator) -> tuple[int, ...]:
    return tuple(int(each) for each in random.integers(0, 256, 3))


def matched(sample: Sample, boxes: list[tuple[int, int, int, int]]) -> tuple[int, int]:
    """How many faces have a box (top, right, bottom, left), and how many boxes have no face.

    A box matches from an intersection over union of 0.35 on; below 0.15 of every face it is false.
    """
    found = sum(any(_overlap(face, box) >= 0.35 for box in boxes) for face in sample.faces)
    known = (*sample.faces, *sample.others)
    return found, sum(all(_overlap(face, box) < 0.15 for face in known) for box in boxes)


def _overlap(face: Circle, box: tuple[int, int, int, int]) -> float:
    (x, y, side), (top, right, bottom, left) = face, box
    width = min(right, x + side / 2) - max(left, x - side / 2)
    height = min(bottom, y + side / 2) - max(top, y - side / 2)
    inner = max(0.0, width) * max(0.0, height)
    return inner / (side * side + (right - left) * (bottom - top) - inner)
