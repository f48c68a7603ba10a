"""Conversion of an image's colours to sRGB. Imports Pillow alone.

Two descriptions are understood: an ICC profile, and the code points of AVIF and HEIC (`nclx`, ITU-T
H.273). A profile wins, as in browsers; one that is broken or of another kind of image is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache
from io import BytesIO

from PIL import Image, ImageChops, ImageCms, ImageFilter

Conversion = Callable[[Image.Image], Image.Image]
_Triple = tuple[float, float, float]
CodePoints = tuple[int, int]
"""Colour primaries and transfer characteristics (H.273, tables 2 and 3)."""

_MAX_PROFILE_BYTES = 8 << 20
"""The profiles of printing presses have up to three megabytes."""

_MAX_KNOWN_BYTES = 1 << 16
"""Profiles of screens and cameras have up to some kilobytes."""

_MAX_DIFFERENCE = 2
"""Grey levels that a profile may differ from sRGB and count as it: rounding of its curves."""

# Linear RGB of these primaries to linear sRGB, both with the white of daylight (D65), from the
# chromaticities in H.273, table 2.
_TO_SRGB = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_LINEAR, _PQ, _HLG = 8, 16, 18

_WHITE_NITS = 203.0
"""The luminance of white paper in high dynamic range (ITU-R BT.2408, table 1)."""
_PEAK_NITS = 1000.0
"""The luminance that becomes the brightest white; HLG's nominal peak (BT.2100, table 5)."""
_GAIN = 1.4
"""By eye: tone mapping darkens, and this leaves faces about as bright as in a common photo."""

_LATTICE = 25
"""Nodes along each axis of the colour table: between them Pillow interpolates."""


def conversion(mode: str, profile: bytes | None, points: CodePoints | None) -> Conversion | None:
    """What makes sRGB, in mode RGB, of an image in `mode`, RGB, L or CMYK; None if it is sRGB."""
    if profile:
        of_profile = _by_known_profile if len(profile) <= _MAX_KNOWN_BYTES else _by_profile
        return of_profile(mode, profile)
    if points and mode == "RGB" and (points[0] in _TO_SRGB or points[1] in (_PQ, _HLG)):
        table = _table(*points)
        return lambda image: image.filter(table)
    return None


def _by_profile(mode: str, profile: bytes) -> Conversion | None:
    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        is_identity = mode != "CMYK" and _is_identity(transform, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if is_identity else transform.apply


# Most photos have one of a few profiles, and to look at one takes 2 ms.
_by_known_profile = lru_cache(maxsize=16)(_by_profile)


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    probe = _probe(mode)
    difference = ImageChops.difference(transform.apply(probe), probe.convert("RGB"))
    return max(high for _, high in difference.getextrema()) <= _MAX_DIFFERENCE  # type: ignore[misc]


@cache
def _probe(mode: str) -> Image.Image:
    """Every grey, or the colours on a grid of 9 levels an axis."""
    if mode == "L":
        return Image.frombytes("L", (256, 1), bytes(range(256)))
    levels = [round(step * 255 / 8) for step in range(9)]
    grid = bytes(v for r in levels for g in levels for b in levels for v in (r, g, b))
    return Image.frombytes("RGB", (81, 9), grid)


@cache
def _table(primaries: int, transfer: int) -> ImageFilter.Color3DLUT:
    """Encoded colours of these code points to sRGB."""
    levels = [_light(step / (_LATTICE - 1), transfer) for step in range(_LATTICE)]
    # Red changes fastest.
    nodes = [(red, green, blue) for blue in levels for green in levels for red in levels]
    table = [channel for light in nodes for channel in _finished(light, primaries, transfer)]
    return ImageFilter.Color3DLUT(_LATTICE, table, target_mode="RGB")


def _light(encoded: float, transfer: int) -> float:
    """Linear light of one channel, in which 1 is the white of paper; of HLG, that of the scene."""
    if transfer == _PQ:  # BT.2100, table 4
        power = encoded ** (32 / 2523)
        low = max(power - 3424 / 4096, 0.0) / (2413 / 128 - 2392 / 128 * power)
        return float(10_000 * low ** (8192 / 1305) / _WHITE_NITS)
    if transfer == _HLG:  # BT.2100, table 5
        if encoded <= 0.5:
            return encoded**2 / 3
        return (math.exp((encoded - 0.55991073) / 0.17883277) + 0.28466892) / 12
    if transfer == _LINEAR:
        return encoded
    # The curves of BT.709 and its kin differ little from that of sRGB.
    return float(encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4)


def _finished(light: _Triple, primaries: int, transfer: int) -> _Triple:
    if transfer == _HLG:  # BT.2100, table 5: the system gamma of 1.2
        luminance = _weighted((0.2627, 0.6780, 0.0593), light)
        light = _scaled(light, _PEAK_NITS / _WHITE_NITS * luminance**0.2)
    if primaries in _TO_SRGB:
        red, green, blue = (max(0.0, _weighted(row, light)) for row in _TO_SRGB[primaries])
        light = (red, green, blue)
    if transfer in (_PQ, _HLG):
        light = _scaled(light, _tone(_weighted((0.2126, 0.7152, 0.0722), light)))
    red, green, blue = (_encoded(channel) for channel in light)
    return red, green, blue


def _tone(luminance: float) -> float:
    """The factor of Reinhard et al. 2002, equation 4: shades keep, the peak becomes white."""
    peak = _GAIN * _PEAK_NITS / _WHITE_NITS
    bright = _GAIN * luminance
    return _GAIN * (1 + bright / peak**2) / (1 + bright)


def _encoded(light: float) -> float:
    """The curve of sRGB (IEC 61966-2-1)."""
    light = min(1.0, light)
    return float(12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def _weighted(weights: _Triple, light: _Triple) -> float:
    return weights[0] * light[0] + weights[1] * light[1] + weights[2] * light[2]


def _scaled(light: _Triple, factor: float) -> _Triple:
    return light[0] * factor, light[1] * factor, light[2] * factor
