"""Conversion of Pillow's pixel layouts to upright 8-bit sRGB. Imports Pillow alone."""

from collections.abc import Callable

from PIL import ExifTags, Image

from faceengine.errors import ImageError, Problem
from faceengine.imaging import colour

_STRIP_PIXELS = 1 << 20
_WHITE = (255, 255, 255, 255)
_PHOTOMETRIC = 262
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

_TURNED_BY_BROWSERS = frozenset({"JPEG", "MPO", "PNG", "AVIF"})
"""Formats whose EXIF orientation browsers apply. That of WebP they ignore, and that of XMP in every
format (tests/e2e/pages/test_orientation.py, in Chromium). Pillow writes AVIF's own turn into its
EXIF."""


def orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, in which browsers show an opened `image` that is not loaded yet.

    A PNG's EXIF counts where it precedes the pixels. The decoders of HEIC and TIFF turn the pixels.
    """
    try:
        value = _exif_orientation(image)
    except Exception:
        # A broken EXIF block (its parser raises half a dozen types) says nothing about the
        # pixels: every viewer shows such a photo as it is stored.
        return 1
    return value if value in _UPRIGHT else 1


def _exif_orientation(image: Image.Image) -> int:
    if image.format not in _TURNED_BY_BROWSERS or "exif" not in image.info:
        return 1
    exif = Image.Exif()
    exif.load(image.info["exif"])
    return int(exif.get(ExifTags.Base.Orientation, 1))


def upright(image: Image.Image, turn: int) -> Image.Image:
    """`image` as it is displayed, given its EXIF orientation `turn`."""
    return image.transpose(_UPRIGHT[turn]) if turn in _UPRIGHT else image


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB and sRGB: transparency on white, 16 bits and floats scaled, not clipped.

    The profile in `image.info` is applied, or the code points that `formats` puts there.
    """
    profile, points = image.info.get("icc_profile"), image.info.get("nclx")
    convert = colour.conversion(_mode_of_channels(image), profile, points) or _as_rgb
    if image.mode == "RGB" and "transparency" not in image.info and convert is _as_rgb:
        return image
    shallow = _shallow(image) if image.mode in _DEEP_MODES else None
    has_alpha = image.has_transparency_data and not shallow and not _is_alpha_unused(image)

    def converted(part: Image.Image) -> Image.Image:
        part = shallow(part) if shallow else part
        rgb = convert(_channels(part))
        return _on_white(rgb, part.convert("RGBA").getchannel("A")) if has_alpha else rgb

    return _in_strips(image, converted)


def _in_strips(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """`to_rgb` of the image, some rows at a time: its copies of a large one would take GBs."""
    whole = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(image.height, top + rows)))
        whole.paste(to_rgb(strip), (0, top))
    return whole


def _is_alpha_unused(image: Image.Image) -> bool:
    """32-bit bitmaps leave the fourth byte at 0 where they mean nothing by it."""
    return image.format == "BMP" and image.getchannel("A").getextrema() == (0, 0)


def _mode_of_channels(image: Image.Image) -> str:
    """The kind of colours for which profiles are made: L, CMYK or RGB."""
    if image.mode in ("L", "LA", "La") or image.mode in _DEEP_MODES:
        return "L"
    return "CMYK" if image.mode == "CMYK" else "RGB"


def _channels(part: Image.Image) -> Image.Image:
    """`part` in the mode of its channels, without alpha."""
    mode = _mode_of_channels(part)
    if part.mode == mode:
        return part
    if mode == "L":
        return part.convert("LA").getchannel("L")
    if "transparency" in part.info:  # `convert` would look for a colour to put in its place
        return part.convert("RGBA").convert("RGB")
    return _as_rgb(part)


def _as_rgb(image: Image.Image) -> Image.Image:
    try:
        return image.convert("RGB")
    except ValueError as error:
        message = f"Images with {image.mode} colours are not supported."
        raise ImageError(Problem.UNSUPPORTED_IMAGE, message) from error


def _on_white(opaque: Image.Image, alpha: Image.Image) -> Image.Image:
    opaque.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", opaque.size, _WHITE), opaque).convert("RGB")


def _shallow(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A conversion of parts of `image`: one channel of 16 bits, 32 bits or floats, to mode L.

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
    scale, first = 255.0 / full, 0.5
    if _is_white_zero(image):
        scale, first = -scale, 255.5
    return lambda part: part.convert("F").point(lambda value: value * scale + first).convert("L")


def _is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF's 0 means white (TIFF 6.0, PhotometricInterpretation), which Pillow turns
    round for 8 bits alone."""
    tags = getattr(image, "tag_v2", {})
    return image.format == "TIFF" and tags.get(_PHOTOMETRIC) == 0


def _numbers(extrema: object) -> tuple[float, float]:
    """The extrema of an image of one channel; Pillow's type allows for several."""
    assert isinstance(extrema, tuple)
    return float(extrema[0]), float(extrema[1])
