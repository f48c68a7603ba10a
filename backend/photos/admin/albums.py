"""Albums and archives of photos in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from backend.clients.admin_site import AuditedAdmin
from backend.photos.albums import archive_import, service
from backend.photos.files import storage
from backend.photos.models import Album, ArchiveUpload, Extraction, Photo

if TYPE_CHECKING:
    _UploadForm = forms.ModelForm[ArchiveUpload]
else:
    _UploadForm = forms.ModelForm

_AT_A_TIME: Final = 200
"""Rows resubmitted or erased in one request, which must end in time."""

_SHOWN_REASONS: Final = 200


@admin.register(Album)
class AlbumAdmin(AuditedAdmin):
    list_display = ["title", "date", "hidden", "is_processing", "photos_count", "processing_count"]
    list_filter = ["hidden", "is_processing", "date"]
    search_fields = ["title"]
    date_hierarchy = "date"
    fields = ["title", "date", "hidden", "is_processing", "cover", "created_at"]
    readonly_fields = ["is_processing", "created_at"]
    raw_id_fields = ["cover"]
    actions = ["hide", "show", "resubmit"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Album]:
        rows: Any = super().get_queryset(request)
        processing = Q(photos__extraction=Extraction.PROCESSING)
        counted = rows.annotate(
            photos_counted=Count("photos"), processing_counted=Count("photos", filter=processing)
        )
        return cast("QuerySet[Album]", counted)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Numbers instead of thousands of names; deleting an album includes its photos."""
        chosen = list(objs)
        photos = Photo.objects.filter(album__in=chosen).count()
        names = [str(album) for album in chosen]
        return names, {"albums": len(chosen), "photos": photos}, set(), []

    def delete_model(self, request: HttpRequest, obj: Album) -> None:
        service.erase_album(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Album]) -> None:
        for album in queryset:
            service.erase_album(album)

    @admin.display(description="photos", ordering="photos_counted")
    def photos_count(self, album: Album) -> str:
        address = reverse("admin:photos_photo_changelist")
        count: int = getattr(album, "photos_counted", 0)
        return format_html('<a href="{}?album__id__exact={}">{}</a>', address, album.pk, count)

    @admin.display(description="processing", ordering="processing_counted")
    def processing_count(self, album: Album) -> int:
        return getattr(album, "processing_counted", 0)

    @admin.action(description="Hide from members", permissions=["change"])
    def hide(self, request: HttpRequest, queryset: QuerySet[Album]) -> None:
        self._set_hidden(request, queryset, hidden=True)

    @admin.action(description="Show to members", permissions=["change"])
    def show(self, request: HttpRequest, queryset: QuerySet[Album]) -> None:
        self._set_hidden(request, queryset, hidden=False)

    @admin.action(description="Resubmit photos that are not done", permissions=["change"])
    def resubmit(self, request: HttpRequest, queryset: QuerySet[Album]) -> None:
        undone = Photo.objects.filter(album__in=queryset).exclude(extraction=Extraction.DONE)
        done = sum(storage.resubmit(photo) for photo in undone[:_AT_A_TIME])
        for album in queryset:
            self.audit(request, "resubmit", album)
        self.message_user(request, f"{done} photos were resubmitted.")

    def _set_hidden(self, request: HttpRequest, queryset: QuerySet[Album], *, hidden: bool) -> None:
        chosen = list(queryset)
        for album in chosen:
            self.audit(request, "hide" if hidden else "show", album)
        done = service.hide_albums(chosen, hidden=hidden)
        self.message_user(request, f"{done} albums are {'hidden' if hidden else 'shown'}.")


class ArchiveForm(_UploadForm):
    class Meta:
        model = ArchiveUpload
        fields = ["album", "file"]


@admin.register(ArchiveUpload)
class ArchiveUploadAdmin(AuditedAdmin):
    """Archives of albums, with progress and report."""

    list_display = [
        "name",
        "album",
        "created_at",
        "status",
        "entries_seen",
        "entries_count",
        "photos_added",
        "skipped",
        "reason",
    ]
    list_filter = ["status", "created_at"]
    list_select_related = ["album"]
    search_fields = ["name", "album__title"]
    form = ArchiveForm
    ordering = ["-pk"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["album", "file"]
        return [*self.list_display, "uploaded_by", "processed_at", "what_was_skipped"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [] if obj is None else self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Accept the upload as the pages do; `obj` becomes the inserted row."""
        upload = form.cleaned_data["file"]
        try:
            taken = archive_import.accept(obj.album, upload, by=cast(Any, request.user))
        except storage.UploadRejected as reason:
            self.message_user(request, str(reason), messages.ERROR)
            return
        obj.__dict__.update(taken.__dict__)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: Any = None
    ) -> HttpResponseRedirect:
        """Redirect to the list, which shows the progress."""
        if obj.pk is not None:
            self.message_user(request, f"{obj.name} is being unpacked.")
        return HttpResponseRedirect(reverse("admin:photos_archiveupload_changelist"))

    @admin.display(description="what was skipped")
    def what_was_skipped(self, upload: ArchiveUpload) -> str:
        lines = ((line["name"], line["reason"]) for line in upload.report[:_SHOWN_REASONS])
        return format_html_join("", "<div>{}: {}</div>", lines)
