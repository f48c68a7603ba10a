"""Albums, photos, references and members in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from backend.clients.admin_site import AuditedAdmin, ReadOnlyAdmin
from backend.photos.albums import archive_import, service
from backend.photos.files import media_links, storage
from backend.photos.members import consent
from backend.photos.models import (
    WIDTHS_PX,
    Album,
    ArchiveUpload,
    Extraction,
    Like,
    Match,
    Member,
    Photo,
    Reference,
)

if TYPE_CHECKING:
    _UploadForm = forms.ModelForm[ArchiveUpload]
    _MemberForm = forms.ModelForm[Member]
else:
    _UploadForm = _MemberForm = forms.ModelForm

_AT_A_TIME: Final = 200
"""Rows resubmitted or erased in one request, which must end in time."""

_SHOWN_REASONS: Final = 200


class ArchiveForm(_UploadForm):
    class Meta:
        model = ArchiveUpload
        fields = ["album", "file"]


class MemberForm(_MemberForm):
    class Meta:
        model = Member
        fields = ["joined_on", "left_on"]
        help_texts = {
            "joined_on": "Photos of albums before this day are not theirs. Empty: no bound.",
            "left_on": "Nor of albums after this day.",
        }

    def clean(self) -> None:
        super().clean()
        joined_on, left_on = (self.cleaned_data.get(name) for name in ("joined_on", "left_on"))
        if joined_on and left_on and left_on < joined_on:
            self.add_error("left_on", "They left before they joined.")


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


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    """Staff sets only the days between which a user was a member."""

    form = MemberForm
    list_display = [
        "user",
        "joined_on",
        "left_on",
        "opted_in_at",
        "opted_out_at",
        "references_count",
    ]
    list_filter = [
        (moment, admin.EmptyFieldListFilter) for moment in ("opted_in_at", "opted_out_at")
    ]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    ordering = ["user__username"]
    fields = ["user", "joined_on", "left_on", "opted_in_at", "opted_out_at", "references_count"]
    readonly_fields = ["user", "opted_in_at", "opted_out_at", "references_count"]
    actions = ["opt_out"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        rows: Any = super().get_queryset(request)
        return cast("QuerySet[Member]", rows.annotate(counted=Count("references")))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("photos.change_member"))

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("photos.delete_reference"))

    @admin.display(description="references", ordering="counted")
    def references_count(self, member: Member) -> int:
        return getattr(member, "counted", 0)

    @admin.action(description="Opt out: erase references and matches", permissions=["erase"])
    def opt_out(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        chosen = list(queryset[:_AT_A_TIME])
        for member in chosen:
            self.audit(request, "opt out", member)
            consent.opt_out(member)
        self.message_user(request, f"{len(chosen)} members were opted out.")


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
