"""The serializer field of an uploaded image: one file of allowed name and size that decodes."""

import hashlib
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.base import File
from rest_framework import serializers

from backend.common.http import image_names
from backend.common.http.errors import TooLarge

Check = Callable[["File[Any]"], None]
"""Decodes the file; raises `serializers.ValidationError` if it is no usable image."""


class ImageUploadField(serializers.FileField):
    """An image file. `check` decodes it, so that a broken one fails now and not in a worker.

    Several files in the field are refused, because all but one would be dropped silently.
    """

    default_error_messages = {
        "many": "Submit one file at a time.",
        "extension": "File extension “{extension}” is not allowed. Allowed extensions are: "
        f"{', '.join(image_names.EXTENSIONS)}.",
    }

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
        if extension := image_names.refused_extension(file.name or ""):
            self.fail("extension", extension=extension)
        self.check_image(file)
        file.seek(0)
        return file


def sha256_of(upload: "File[Any]") -> str:
    """The SHA-256 of the bytes, in hexadecimal digits; read in chunks."""
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    return digest.hexdigest()
