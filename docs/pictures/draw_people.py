"""Draws four people who do not exist, well enough for the detector: the picture of the README.

    python docs/pictures/draw_people.py docs/pictures/people.jpg

A picture that may be shown to anyone and sent anywhere, so that a newcomer has something to upload.
"""

import sys
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFilter

SIZE = (1200, 675)
SCALE = 2  # drawn larger and shrunk: smooth edges, as a camera has them

Colour = tuple[int, int, int]
WHITE_OF_THE_EYE: Colour = (245, 245, 242)
PUPIL: Colour = (15, 15, 18)
LASHES: Colour = (40, 28, 24)
LIPS: Colour = (176, 70, 72)
TEETH: Colour = (250, 248, 244)


@dataclass(frozen=True)
class Person:
    """Where the head is and how large, as shares of the picture's size, and its colours."""

    x: float
    y: float
    size: float
    skin: Colour
    hair: Colour
    eyes: Colour
    shirt: Colour
    long_hair: bool = False


PEOPLE = (
    Person(0.17, 0.50, 0.094, (238, 200, 172), (92, 58, 36), (70, 110, 90), (60, 98, 150), True),
    Person(0.40, 0.40, 0.105, (150, 104, 76), (28, 22, 22), (52, 34, 24), (196, 82, 60)),
    Person(0.63, 0.47, 0.098, (226, 178, 140), (40, 32, 30), (60, 44, 30), (236, 190, 80)),
    Person(0.85, 0.43, 0.090, (243, 212, 190), (206, 166, 98), (80, 120, 160), (90, 130, 96), True),
)


class Pen:
    """Draws in units of a head's radius round the head's centre."""

    def __init__(self, draw: ImageDraw.ImageDraw, person: Person, size: tuple[int, int]) -> None:
        self.draw = draw
        self.unit = person.size * size[0]
        self.centre = (person.x * size[0], person.y * size[1])

    def box(self, left: float, top: float, right: float, bottom: float) -> list[float]:
        x, y = self.centre
        ends = (x + left * self.unit, y + top * self.unit)
        return [*ends, x + right * self.unit, y + bottom * self.unit]

    def oval(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        self.draw.ellipse(self.box(left, top, right, bottom), fill=fill)

    def width(self, share: float) -> int:
        return max(1, int(share * self.unit))


def shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(part * factor)) for part in colour)
    return red, green, blue


def draw_scene(size: tuple[int, int]) -> Image.Image:
    """A sky, two hills, and everyone in front of them."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    width, height = size
    for y in range(height):
        part = y / height
        sky = (int(150 + 70 * part), int(190 + 35 * part), int(225 - 10 * part))
        draw.line([0, y, width, y], fill=sky)
    draw.ellipse([-width * 0.2, height * 0.62, width * 0.7, height * 1.6], fill=(132, 170, 110))
    draw.ellipse([width * 0.35, height * 0.55, width * 1.3, height * 1.6], fill=(112, 152, 100))
    for person in PEOPLE:
        draw_person(Pen(draw, person, size), person)
    return image


def draw_person(pen: Pen, person: Person) -> None:
    draw_body(pen, person)
    draw_head(pen, person)
    for side in (-1, 1):
        draw_eye(pen, person, side * 0.36, side)
    draw_nose(pen, person)
    draw_mouth(pen, person)


def draw_body(pen: Pen, person: Person) -> None:
    pen.draw.rectangle(pen.box(-0.38, 0.7, 0.38, 1.6), fill=shade(person.skin, 0.72))
    shirt = pen.box(-1.35, 1.3, 1.35, 3.6)
    pen.draw.rounded_rectangle(shirt, radius=0.6 * pen.unit, fill=person.shirt)


def draw_head(pen: Pen, person: Person) -> None:
    pen.oval(-1.02, -1.32, 1.02, 1.2 if person.long_hair else 0.75, person.hair)
    for side in (-1, 1):
        pen.oval(side * 0.86 - 0.14, -0.25, side * 0.86 + 0.14, 0.3, shade(person.skin, 0.86))
    pen.oval(-0.85, -1.05, 0.85, 1.15, person.skin)
    jaw = pen.box(-0.72, -0.2, 0.72, 1.0)
    pen.draw.rounded_rectangle(jaw, radius=0.62 * pen.unit, fill=person.skin)
    pen.draw.pieslice(pen.box(-0.92, -1.3, 0.92, 0.35), 182, 358, fill=person.hair)
    pen.oval(-0.74, -0.78, 0.74, 0.6, person.skin)
    for side in (-1, 1):
        cheek = shade(person.skin, 0.93)
        pen.oval(side * 0.6 - 0.17, 0.05, side * 0.6 + 0.17, 0.58, cheek)


def draw_eye(pen: Pen, person: Person, x: float, side: int) -> None:
    pen.oval(x - 0.25, -0.33, x + 0.25, 0.02, shade(person.skin, 0.86))
    pen.oval(x - 0.19, -0.25, x + 0.19, -0.02, WHITE_OF_THE_EYE)
    pen.oval(x - 0.1, -0.24, x + 0.1, -0.03, person.eyes)
    pen.oval(x - 0.05, -0.19, x + 0.05, -0.08, PUPIL)
    lid = pen.box(x - 0.21, -0.28, x + 0.21, 0.05)
    pen.draw.arc(lid, 190, 350, fill=LASHES, width=pen.width(0.05))
    outer, inner = (-0.36, -0.41) if side < 0 else (-0.41, -0.36)
    brow = pen.box(x - 0.25, outer, x + 0.25, inner)
    fill = person.hair if sum(person.hair) < 360 else shade(person.hair, 0.6)
    pen.draw.line(brow, fill=fill, width=pen.width(0.085))


def draw_nose(pen: Pen, person: Person) -> None:
    bridge = pen.box(-0.06, -0.1, 0.06, -0.1) + pen.box(0.17, 0.36, -0.17, 0.36)
    pen.draw.polygon(bridge, fill=shade(person.skin, 1.1))
    pen.oval(-0.2, 0.26, 0.2, 0.44, shade(person.skin, 0.86))
    pen.oval(-0.12, 0.25, 0.12, 0.4, shade(person.skin, 1.1))
    for side in (-1, 1):
        pen.oval(side * 0.095 - 0.045, 0.36, side * 0.095 + 0.045, 0.42, shade(person.skin, 0.72))


def draw_mouth(pen: Pen, person: Person) -> None:
    pen.draw.chord(pen.box(-0.34, 0.42, 0.34, 0.86), 10, 170, fill=LIPS)
    pen.draw.chord(pen.box(-0.27, 0.5, 0.27, 0.76), 15, 165, fill=TEETH)
    chin = pen.box(-0.3, 0.6, 0.3, 1.02)
    pen.draw.arc(chin, 40, 140, fill=shade(person.skin, 0.86), width=pen.width(0.04))


def main(path: str) -> None:
    scene = draw_scene((SIZE[0] * SCALE, SIZE[1] * SCALE))
    blurred = scene.filter(ImageFilter.GaussianBlur(SCALE))
    blurred.resize(SIZE, Image.Resampling.LANCZOS).save(path, quality=88)


if __name__ == "__main__":
    main(sys.argv[1])
