"""Sending a stored image: Django authorises it, nginx sends it (`X-Accel-Redirect`)."""

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
"""nginx's internal location of the media folder."""

_ON_S3: Final = "/_s3/"
"""nginx's internal location that fetches the URL in `_ADDRESS`, a header that nginx removes."""

_ADDRESS: Final = "X-Faces-Stored-At"


def x_accel_response(file: FieldFile) -> HttpResponse:
    """A response that makes nginx send `file`, as an image and as nothing else."""
    if not file.name:
        raise Http404
    path = PurePosixPath(file.name)
    # By our own name of the file: a type that the uploader chose could make it run as a page.
    content_type = _TYPES.get(path.suffix[1:], "application/octet-stream")
    headers = {
        "Content-Disposition": f'inline; filename="{path.name}"',
        "Cache-Control": "private, max-age=3600",
    }
    response = HttpResponse(content_type=content_type)
    if bucket := base.bucket(file.storage):
        response["X-Accel-Redirect"] = f"{_ON_S3}{path}"
        # S3 sends the headers itself, so that an error of S3 does not carry them.
        response[_ADDRESS] = bucket.signed_url(file.name, {"Content-Type": content_type, **headers})
    else:
        response["X-Accel-Redirect"] = f"{_ON_DISK}{path}"
        for name, value in headers.items():
            response[name] = value
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
