"""What the endpoints share: reading a body, and headers."""

from __future__ import annotations

from typing import Any, Final

from django.core.files.base import File
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

POLLED: Final = {"Cache-Control": "private, no-cache"}
"""A browser keeps the answer, and asks with its `ETag` whether it has changed."""


def valid(serializer: Any) -> dict[str, Any]:
    """The body as checked by its serializer. Raises `ValidationError`."""
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


def one_file(request: Request, field: str) -> File[Any]:
    """The one file that was sent in this field. Raises `ValidationError`."""
    files = request.FILES.getlist(field)
    if len(files) != 1:
        problem = "Submit one file at a time." if files else "No file was submitted."
        raise ValidationError({field: [problem]})
    file: File[Any] = files[0]
    return file
