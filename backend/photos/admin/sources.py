"""Photos and references in the admin."""

from __future__ import annotations

from typing import Any, Final, cast

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html

from backend.clients.admin_site import ReadOnlyAdmin
from backend.photos.albums import service
from backend.photos.files import media_links, storage
from backend.photos.models import WIDTHS_PX, Like, Match, Photo, Reference

_AT_A_TIME: Final = 200
"""Rows resubmitted or erased in one request, which must end in time."""


class SourceAdmin(ReadOnlyAdmin):
    """Common to photos and references: state and resubmission."""

    actions = ["resubmit"]
    ordering = ["-pk"]

    def has_act_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"photos.change_{self.opts.model_name}"))

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"photos.delete_{self.opts.model_name}"))

    @admin.display(description="matches", ordering="matches_counted")
    def matches_count(self, source: Photo | Reference) -> int:
        return getattr(source, "matches_counted", 0)

    @admin.action(description="Resubmit: find the faces anew", permissions=["act"])
    def resubmit(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        done = 0
        for source in queryset[:_AT_A_TIME]:
            if storage.resubmit(source):
                self.audit(request, "resubmit", source)
                done += 1
        self.message_user(request, f"{done} were resubmitted; those in work or good were not.")


@admin.register(Photo)
class PhotoAdmin(SourceAdmin):
    list_display = [
        "thumbnail",
        "name",
        "album",
        "taken_at",
        "extraction",
        "failure_reason",
        "faces_count",
        "matches_count",
        "likes_count",
        "hidden",
    ]
    list_display_links = ["thumbnail", "name"]
    list_filter = [
        "extraction",
        "hidden",
        "created_at",
        ("album", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["album"]
    search_fields = ["name", "album__title", "sha256__startswith"]
    search_help_text = "A part of a file's name or of an album's, or the beginning of a SHA-256."
    fields = [
        "picture",
        "album",
        "name",
        "taken_at",
        ("width", "height"),
        "hidden",
        "extraction",
        "failure_reason",
        "faces_count",
        "matches_count",
        "likes_count",
        "extractor",
        "extracted_at",
        ("submitted_at", "submissions"),
        ("status", "attempts", "due_at", "claimed_by"),
        "sha256",
    ]
    actions = ["resubmit", "hide", "show", "erase"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Photo]:
        photos: Any = super().get_queryset(request)
        counted = photos.annotate(
            matches_counted=_count(Match.objects.filter(photo=OuterRef("pk")), "photo"),
            likes_counted=_count(Like.objects.filter(photo=OuterRef("pk")), "photo"),
        )
        return cast("QuerySet[Photo]", counted)

    @admin.display(description="")
    def thumbnail(self, photo: Photo) -> str:
        return _picture(photo, height=64)

    @admin.display(description="photo")
    def picture(self, photo: Photo) -> str:
        return _picture(photo, height=480)

    @admin.display(description="likes", ordering="likes_counted")
    def likes_count(self, photo: Photo) -> int:
        return getattr(photo, "likes_counted", 0)

    @admin.action(description="Hide from members", permissions=["act"])
    def hide(self, request: HttpRequest, photos: QuerySet[Photo]) -> None:
        self._set_hidden(request, photos, hidden=True)

    @admin.action(description="Show to members", permissions=["act"])
    def show(self, request: HttpRequest, photos: QuerySet[Photo]) -> None:
        self._set_hidden(request, photos, hidden=False)

    @admin.action(description="Erase, with files, faces and matches", permissions=["erase"])
    def erase(self, request: HttpRequest, photos: QuerySet[Photo]) -> None:
        chosen = list(photos[:_AT_A_TIME])
        for photo in chosen:
            self.audit(request, "erase", photo)
            service.erase_photo(photo)
        self.message_user(request, f"{len(chosen)} photos were erased.")

    def _set_hidden(self, request: HttpRequest, photos: QuerySet[Photo], *, hidden: bool) -> None:
        chosen = list(photos[:_AT_A_TIME])
        for photo in chosen:
            self.audit(request, "hide" if hidden else "show", photo)
        done = service.hide_photos(chosen, hidden=hidden)
        self.message_user(request, f"{done} photos are {'hidden' if hidden else 'shown'}.")


@admin.register(Reference)
class ReferenceAdmin(SourceAdmin):
    """Without the picture, which staff may not see."""

    list_display = [
        "pk",
        "member",
        "created_at",
        "extraction",
        "failure_reason",
        "matches_count",
        "marked_for_deletion_at",
    ]
    list_filter = [
        "extraction",
        ("marked_for_deletion_at", admin.EmptyFieldListFilter),
        "created_at",
    ]
    list_select_related = ["member__user"]
    search_fields = ["member__user__username"]
    fields = [
        "member",
        "created_at",
        "extraction",
        "failure_reason",
        "matches_count",
        "marked_for_deletion_at",
        "extractor",
        "extracted_at",
        ("submitted_at", "submissions"),
        ("status", "attempts", "due_at", "claimed_by"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reference]:
        references: Any = super().get_queryset(request)
        matches = Match.objects.filter(reference=OuterRef("pk"))
        counted = references.annotate(matches_counted=_count(matches, "reference"))
        return cast("QuerySet[Reference]", counted)


def _count(rows: Any, by: str) -> Any:
    """A subquery, because two joins would multiply each other's counts."""
    counted = rows.order_by().values(by).annotate(counted=Count("pk")).values("counted")
    return Coalesce(Subquery(counted), Value(0))


def _picture(photo: Photo, *, height: int) -> str:
    """The thumbnail, loaded lazily; a dash while there is none."""
    if not photo.file:
        return "–"
    address = media_links.photo_path(
        photo, WIDTHS_PX[0] if height <= WIDTHS_PX[0] else WIDTHS_PX[1]
    )
    return format_html(
        '<img src="{}" height="{}" alt="{}" loading="lazy">', address, height, photo.name
    )
