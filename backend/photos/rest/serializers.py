"""The API's bodies and answers: albums, photos, references, groups."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, get_args

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from backend.analysis.serializers import DetectorField, TurnedSerializer
from backend.common.http.service_url import service_url
from backend.common.jobs.models import Status
from backend.common.openapi import BoxSerializer, MomentField
from backend.photos.files import media_links
from backend.photos.matching import member_photos
from backend.photos.matching.member_photos import How
from backend.photos.models import (
    WIDTHS_PX,
    Album,
    ArchiveUpload,
    Extraction,
    Like,
    Member,
    Person,
    Photo,
    PhotoFace,
    Reference,
    UnknownFace,
)
from backend.photos.pagination import M, Page

_MAX_KEY: Final = 2**62
_MAX_FACES: Final = 1000


class KeyField(serializers.IntegerField):
    """A primary key."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=_MAX_KEY, **kwargs)


class TextField(serializers.CharField):
    """Text. A lone surrogate, which JSON can express and no database takes, becomes `?`."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).encode(errors="replace").decode()


_A_DETECTOR: Final = "Finds the faces; empty: the service's."


class FileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField()
    detector = DetectorField(help_text=_A_DETECTOR)


class FilesSerializer(serializers.Serializer[Any]):
    file = serializers.ListField(child=serializers.FileField(), min_length=1)
    detector = DetectorField(help_text=_A_DETECTOR)


# --- lists


@cache
def page_of(each: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The serializer of a page, as the old system's lists: count, next, previous, results."""
    fields = {
        "count": serializers.IntegerField(min_value=0),
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": each(many=True),
    }
    name = each.__name__.replace("Serializer", "PageSerializer")
    return type(name, (serializers.Serializer,), fields)


def paged(
    page: Page[M], each: type[serializers.BaseSerializer[Any]], request: Request
) -> dict[str, Any]:
    here = f"{service_url()}{request.path_info}"
    return {
        "count": page.count,
        "next": f"{here}?{page.next}" if page.next else None,
        "previous": f"{here}?{page.previous}" if page.previous else None,
        "results": each(page.rows, many=True).data,
    }


# --- albums


class AlbumSerializer(serializers.ModelSerializer[Album]):
    title = TextField(max_length=200)

    class Meta:
        model = Album
        fields = ["pk", "title", "date", "hidden", "is_processing"]
        extra_kwargs = {"date": {"required": True}}


class WorkStatusSerializer(serializers.Serializer[Any]):
    processing = serializers.BooleanField()
    version = serializers.CharField(help_text="Changes when there is something new.")


class AlbumProgressSerializer(AlbumSerializer):
    """An album for staff: with the progress of its photos."""

    photos_count = serializers.IntegerField(min_value=0)
    prepared_count = serializers.IntegerField(min_value=0)
    done_count = serializers.IntegerField(min_value=0)
    failed_count = serializers.IntegerField(min_value=0)
    status = WorkStatusSerializer()

    class Meta(AlbumSerializer.Meta):
        fields = [
            *AlbumSerializer.Meta.fields,
            *("photos_count", "prepared_count", "done_count", "failed_count", "status"),
        ]


class SkippedSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    reason = serializers.CharField()


class AddedSerializer(serializers.ModelSerializer[Photo]):
    class Meta:
        model = Photo
        fields = ["pk", "name"]


class UploadReportSerializer(serializers.Serializer[Any]):
    added = AddedSerializer(many=True)
    skipped = SkippedSerializer(many=True)


class ArchiveSerializer(serializers.ModelSerializer[ArchiveUpload]):
    status = serializers.ChoiceField(Status.values)
    reason = serializers.SerializerMethodField()
    entries_count = serializers.SerializerMethodField()
    skipped_count = serializers.IntegerField(source="skipped", min_value=0)
    skipped = SkippedSerializer(source="report", many=True)

    class Meta:
        model = ArchiveUpload
        fields = [
            *("pk", "album", "name", "status", "reason", "entries_count", "entries_seen"),
            *("photos_added", "skipped_count", "skipped"),
        ]

    def get_reason(self, upload: ArchiveUpload) -> str | None:
        return upload.reason or None

    def get_entries_count(self, upload: ArchiveUpload) -> int | None:
        return upload.entries_count or None


# --- photos


def with_likes(photos: QuerySet[Photo], user: Any) -> QuerySet[Photo]:
    """Adds `likes_count` and `liked`, which `PhotoSerializer` needs."""
    of_photo = Like.objects.filter(photo=OuterRef("pk")).order_by()
    counted = of_photo.values("photo").annotate(count=Count("pk")).values("count")
    return photos.annotate(
        likes_count=Coalesce(Subquery(counted), 0), liked=Exists(of_photo.filter(user=user.pk))
    )


class AlbumTitleSerializer(serializers.ModelSerializer[Album]):
    class Meta:
        model = Album
        fields = ["pk", "title", "date"]


class PictureLinksSerializer(serializers.Serializer[Any]):
    """Addresses that open without a login until they expire."""

    full = serializers.URLField()
    small = serializers.URLField()
    medium = serializers.URLField()
    large = serializers.URLField()


class PhotoSerializer(serializers.ModelSerializer[Photo]):
    album = AlbumTitleSerializer()
    taken_at = MomentField()
    file = serializers.SerializerMethodField()
    num_likes = serializers.IntegerField(source="likes_count", min_value=0)
    liked = serializers.BooleanField()

    class Meta:
        model = Photo
        fields = [
            *("pk", "album", "taken_at", "width", "height", "hidden", "file", "num_likes", "liked")
        ]

    @extend_schema_field(PictureLinksSerializer)
    def get_file(self, photo: Photo) -> dict[str, str]:
        sizes = zip(("small", "medium", "large"), WIDTHS_PX, strict=True)
        return {
            "full": media_links.photo_url(photo),
            **{name: media_links.photo_url(photo, width_px) for name, width_px in sizes},
        }


class PhotoFaceSerializer(TurnedSerializer):
    pk = serializers.IntegerField()
    box = serializers.SerializerMethodField()

    @extend_schema_field(BoxSerializer(allow_null=True))
    def get_box(self, face: PhotoFace) -> dict[str, Any] | None:
        return None if face.top is None else dict(BoxSerializer(face).data)


class PhotoInFullSerializer(PhotoSerializer):
    """A photo with its faces, and whether the member of the context is on it."""

    faces = PhotoFaceSerializer(many=True)
    is_me = serializers.SerializerMethodField()

    class Meta(PhotoSerializer.Meta):
        fields = [*PhotoSerializer.Meta.fields, "faces", "is_me"]

    def get_is_me(self, photo: Photo) -> bool:
        return member_photos.is_on(self.context["member"], photo)


class HiddenSerializer(serializers.ModelSerializer[Photo]):
    class Meta:
        model = Photo
        fields = ["pk", "hidden"]
        extra_kwargs = {"hidden": {"required": True}}


class OnPhotoSerializer(serializers.Serializer[Any]):
    """A member on a photo, of a `matches.OnPhoto`."""

    member = KeyField(source="member_id")
    how = serializers.ChoiceField(get_args(How))
    face = KeyField(source="face_id", allow_null=True)
    distance = serializers.FloatField(allow_null=True)


class MembersOnPhotoSerializer(serializers.Serializer[Any]):
    results = OnPhotoSerializer(many=True)


# --- members


class ReferenceSerializer(serializers.ModelSerializer[Reference]):
    status = serializers.ChoiceField(Extraction.values, source="extraction")
    reason = serializers.SerializerMethodField(help_text="Why it was rejected.")
    created_at = MomentField()
    file = serializers.SerializerMethodField(help_text="null until a worker has made the picture.")

    class Meta:
        model = Reference
        fields = ["pk", "status", "reason", "created_at", "file"]

    def get_reason(self, reference: Reference) -> str | None:
        return reference.failure_reason or None

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_file(self, reference: Reference) -> str | None:
        return media_links.reference_url(reference) if reference.file else None


class ConsentSerializer(serializers.ModelSerializer[Member]):
    takes_part = serializers.BooleanField()
    opted_in_at = MomentField(allow_null=True)
    opted_out_at = MomentField(allow_null=True)

    class Meta:
        model = Member
        fields = ["takes_part", "opted_in_at", "opted_out_at"]


class MemberStatusSerializer(WorkStatusSerializer):
    message = serializers.CharField(allow_null=True)
    references = serializers.DictField(
        child=serializers.IntegerField(min_value=0), help_text="How many are in which state."
    )
    photos_count = serializers.IntegerField(min_value=0)


# --- groups of unknown people


class ClaimSerializer(serializers.ModelSerializer[Person]):
    status = serializers.ChoiceField(Person.ClaimStatus.values, source="claim_status")

    class Meta:
        model = Person
        fields = ["pk", "status"]


class PersonSerializer(serializers.ModelSerializer[Person]):
    """A group of faces of one unknown person."""

    name = TextField(max_length=100, allow_blank=True, required=False)
    faces_count = serializers.SerializerMethodField()
    status = serializers.ChoiceField(
        Person.ClaimStatus.values, source="claim_status", read_only=True
    )

    class Meta:
        model = Person
        fields = ["pk", "name", "hidden", "faces_count", "member", "status"]
        read_only_fields = ["member"]

    def get_faces_count(self, person: Person) -> int:
        return getattr(person, "faces_count", None) or person.faces.count()


class FaceOfPersonSerializer(serializers.ModelSerializer[UnknownFace]):
    photo = KeyField(source="photo_id")

    class Meta:
        model = UnknownFace
        fields = ["pk", "photo"]


class PersonInFullSerializer(PersonSerializer):
    faces = serializers.SerializerMethodField()

    class Meta(PersonSerializer.Meta):
        fields = [*PersonSerializer.Meta.fields, "faces"]

    @extend_schema_field(FaceOfPersonSerializer(many=True))
    def get_faces(self, person: Person) -> Any:
        rows = person.faces.annotate(photo_id=F("face__photo_id")).order_by("pk")[:_MAX_FACES]
        return FaceOfPersonSerializer(rows, many=True).data


class DecisionSerializer(serializers.Serializer[Any]):
    """What an action on a group needs: `other` of merge, `faces` of split, `face` of take-out,
    `member` of offer."""

    other = KeyField(required=False)
    faces = serializers.ListField(child=KeyField(), required=False)
    face = KeyField(required=False)
    member = KeyField(required=False)
