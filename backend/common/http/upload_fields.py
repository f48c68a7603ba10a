"""The serializer field of an uploaded image: one file of allowed name and size that decodes."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.core.validators import FileExtensionValidator
from rest_framework import serializers

from backend.common.http.errors import TooLarge

EXTENSIONS: Final = (
    "gif jpg jpeg png webp bmp tif tiff heic heif avif".split()  # noqa: SIM905  the contract's order
)

Check = Callable[["File[Any]"], None]
"""Decodes the file; raises `serializers.ValidationError` if it is no usable image."""


class ImageUploadField(serializers.FileField):
    """An image file. `check` decodes it, so that a broken one fails now and not in a worker.

    Several files in the field are refused, because all but one would be dropped silently.
    """

    default_error_messages = {"many": "Submit one file at a time."}

    def __init__(self, *, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_image = check

    def get_value(self, dictionary: Any) -> Any:
        files = dictionary.getlist(self.field_name) if hasattr(dictionary, "getlist") else []
        # An error raised here would name no field; `to_internal_value` does.
        return files if len(files) > 1 else super().get_value(dictionary)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list):
            self.fail("many")
        file = super().to_internal_value(data)
        if file.size > settings.FACES_MAX_UPLOAD_BYTES:
            raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
        FileExtensionValidator(EXTENSIONS)(file)
        self.check_image(file)
        file.seek(0)
        return file


def sha256_of(upload: "File[Any]") -> str:
    """The SHA-256 of the bytes, in hexadecimal digits; read in chunks."""
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    return digest.hexdigest()
