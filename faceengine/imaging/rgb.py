"""Conversion of Pillow's pixel layouts to upright 8-bit RGB. Imports Pillow alone."""

from collections.abc import Callable

from PIL import ExifTags, Image

from faceengine.errors import ImageError, Problem

_STRIP_PIXELS = 1 << 20
_WHITE = (255, 255, 255, 255)
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

# The eight values of the EXIF tag "Orientation" (EXIF 2.3, table 6): what to do to the stored
# pixels so that they stand upright. 1 is upright already.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of `image`, 1 to 8; 1 where it is absent or unreadable."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # A broken EXIF block (its parser raises half a dozen types) says nothing about the
        # pixels: every viewer shows such a photo as it is stored.
        return 1
    return value if value in _UPRIGHT else 1


def upright(image: Image.Image, turn: int) -> Image.Image:
    """`image` as it is displayed, given its EXIF orientation `turn`."""
    return image.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else image


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: transparency on white, 16 bits and floats scaled instead of clipped."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _DEEP_MODES:
        return _in_strips(image, _shallow(image))
    if image.has_transparency_data:
        return _in_strips(image, _on_white)
    try:
        return image.convert("RGB")
    except ValueError as error:
        message = f"Images with {image.mode} colours are not supported."
        raise ImageError(Problem.UNSUPPORTED, message) from error


def _in_strips(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """`to_rgb` of the image, some rows at a time: its copies of a large one would take GBs."""
    whole = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        whole.paste(to_rgb(strip), (0, top))
    return whole


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")


def _shallow(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A conversion of parts of `image`: one channel of 16 bits, 32 bits or floats, as 8 bits.

    Pillow's own conversion clips at 255, which makes every 16-bit scan white. Integers up to 65535
    are divided by 257 (65535 becomes 255); floats up to 1 are fractions; what lies beyond is scaled
    by its own largest value.
    """
    lowest, highest = _numbers(image.getextrema())
    if not (lowest > float("-inf") and highest < float("inf")):
        raise ImageError(Problem.CORRUPT, "The image has pixels that are not numbers.")
    if image.mode == "F":
        full = 1.0 if highest <= 1 else 255.0 if highest <= 255 else highest
    else:
        full = 65535.0 if highest <= 65535 else highest
    scale = 255.0 / full

    def converted(part: Image.Image) -> Image.Image:
        values = part.convert("F").point(lambda value: value * scale + 0.5)
        return values.convert("L").convert("RGB")

    return converted


def _numbers(extrema: object) -> tuple[float, float]:
    """The extrema of an image of one channel; Pillow's type allows for several."""
    assert isinstance(extrema, tuple)
    return float(extrema[0]), float(extrema[1])
