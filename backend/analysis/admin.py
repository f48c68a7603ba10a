"""Analyses and their faces, to be looked at. No page loads an encoding."""

from typing import Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from backend.analysis.models import Analysis, Face
from backend.clients.admin_site import ReadOnlyAdmin

_QUALITY: Final = ("score", "size_px", "sharpness", "yaw", "roll", "too_poor")


@admin.register(Analysis)
class AnalysisAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at",
        "owner",
        "digest",
        "detector",
        "status",
        "faces_count",
        "engine_s",
    ]
    # Not by detector or model: their values would be looked for in the whole table.
    list_filter = ["status", "created_at"]
    search_fields = ["sha256__startswith"]
    search_help_text = "The beginning of the SHA-256 of an image."

    @admin.display(description="SHA-256", ordering="sha256")
    def digest(self, analysis: Analysis) -> str:
        return analysis.sha256[:12]


@admin.register(Face)
class FaceAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "box", *_QUALITY]
    list_filter = [("too_poor", admin.EmptyFieldListFilter)]
    list_select_related = ["analysis"]
    ordering = ["-analysis_id", "index"]
    search_fields = ["analysis__sha256__startswith"]
    search_help_text = "The beginning of the SHA-256 of an image."
    fields = ["analysis", "index", "box", *_QUALITY]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Face]:
        faces: QuerySet[Face] = super().get_queryset(request)
        return faces.defer("encoding")

    @admin.display(description="top, right, bottom, left")
    def box(self, face: Face) -> str:
        return f"{face.top}, {face.right}, {face.bottom}, {face.left}"
