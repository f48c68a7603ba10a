"""Sending a stored image: Django decides, nginx sends."""

from pathlib import PurePosixPath
from typing import Final

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponse

from backend.common.storage import base

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

_ON_DISK: Final = "/_media/"
"""nginx's location of the media folder, which only an answer of ours can name."""

_ON_S3: Final = "/_s3/"
"""nginx's location for what it fetches from the address in `_ADDRESS`, which it shows nobody."""

_ADDRESS: Final = "X-Faces-Stored-At"


def send(file: FieldFile) -> HttpResponse:
    """An answer that makes nginx send `file`, as an image and as nothing else."""
    if not file.name:
        raise Http404
    path = PurePosixPath(file.name)
    # By our own name of the file: what the uploader said of it could make it run as a page.
    content_type = _TYPES.get(path.suffix[1:], "application/octet-stream")
    told = {
        "Content-Disposition": f'inline; filename="{path.name}"',
        "Cache-Control": "private, max-age=3600",
    }
    response = HttpResponse(content_type=content_type)
    if bucket := base.bucket(file.storage):
        response["X-Accel-Redirect"] = f"{_ON_S3}{path}"
        # They are for S3 to say, so that they are not said of an error.
        response[_ADDRESS] = bucket.signed_url(file.name, {"Content-Type": content_type, **told})
    else:
        response["X-Accel-Redirect"] = f"{_ON_DISK}{path}"
        for name, value in told.items():
            response[name] = value
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
