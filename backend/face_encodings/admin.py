"""Encoded images and their statistics in the admin. No page loads a vector."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from backend.clients.admin_site import ReadOnlyAdmin, ask_first
from backend.face_encodings import services
from backend.face_encodings.models import EncodedImage, StatisticsCounter

_AT_A_TIME: Final = 200
"""Erased in one request, which must end in time."""


@admin.register(EncodedImage)
class EncodedImageAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "digest", "owner", "faces_count", "completed_at"]
    list_filter = [("completed_at", admin.EmptyFieldListFilter), "created_at", "owner"]
    list_select_related = ["owner"]
    ordering = ["-pk"]
    search_fields = ["sha256__startswith"]
    search_help_text = "The beginning of the SHA-256 of an image."
    fields = ["owner", "sha256", "faces_count", "created_at", "completed_at", "made_by", "analysis"]
    actions = ["erase"]

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("face_encodings.delete_encodedimage"))

    @admin.display(description="SHA-256", ordering="sha256")
    def digest(self, image: EncodedImage) -> str:
        return image.sha256[:12]

    @admin.action(description="Erase", permissions=["erase"])
    def erase(self, request: HttpRequest, images: QuerySet[EncodedImage]) -> HttpResponse | None:
        chosen = list(images.select_related("owner")[:_AT_A_TIME])
        if (question := ask_first(self, request, chosen, "Erase")) is not None:
            return question
        for image in chosen:
            self.audit(request, "erase", image)
        services.erase(chosen)
        self.message_user(request, f"{len(chosen)} erased.")
        return None


@admin.register(StatisticsCounter)
class StatisticsCounterAdmin(ReadOnlyAdmin):
    list_display = ["owner", "images"]
    list_filter = ["owner"]
    list_select_related = ["owner"]
    ordering = ["-pk"]
    search_fields = ["owner__name"]
    fields = ["owner", "images"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatisticsCounter]:
        counters: Any = super().get_queryset(request)
        without_sums: QuerySet[StatisticsCounter] = counters.defer("sums")
        return without_sums
