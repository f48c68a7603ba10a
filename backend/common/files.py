"""Sending a stored image: Django decides, nginx sends."""

from pathlib import PurePosixPath
from typing import Final

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponse

_TYPES: Final = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
}

_INTERNAL: Final = "/_media/"
"""nginx's location of the media folder, which only an answer of ours can name."""


def send(file: FieldFile) -> HttpResponse:
    """An answer that makes nginx send `file`, as an image and as nothing else."""
    if not file.name:
        raise Http404
    path = PurePosixPath(file.name)
    response = HttpResponse()
    response["X-Accel-Redirect"] = f"{_INTERNAL}{path}"
    # By our own name of the file: what the uploader said of it could make it run as a page.
    response["Content-Type"] = _TYPES.get(path.suffix[1:], "application/octet-stream")
    response["Content-Disposition"] = f'inline; filename="{path.name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Cache-Control"] = "private, max-age=3600"
    return response
