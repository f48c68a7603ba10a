"""Rejections by the bytes of a photo: "this is not me" holds for every copy of it."""

from __future__ import annotations

from django.db.models import QuerySet

from backend.photos.clustering import grouping
from backend.photos.models import (
    Extraction,
    MatchRejection,
    Member,
    Photo,
    PhotoFace,
    RejectedImage,
)


def copies_of(photo: Photo) -> QuerySet[Photo]:
    """The photos with the same bytes, itself included."""
    return Photo.objects.filter(sha256=photo.sha256)


def remember(member: Member, photo: Photo) -> None:
    """Repeat the member's rejections of `photo` on its copies, those of the future included.

    Call it in the transaction that rejects.
    """
    RejectedImage.objects.filter(member=member, sha256=photo.sha256).delete()
    said = MatchRejection.objects.filter(member=member, photo=photo).select_related("face")
    RejectedImage.objects.bulk_create(
        RejectedImage(member=member, sha256=photo.sha256, face=each.face and _key(each.face))
        for each in said
    )
    # The others are not extracted yet, and `repeat` follows with their faces.
    for copy in copies_of(photo).filter(extraction=Extraction.DONE).exclude(pk=photo.pk):
        repeat(copy)


def repeat(photo: Photo) -> None:
    """Reject on `photo`, whose faces were just recorded, what was rejected on its copies.

    A face that is not where it was, as found by another detector, is rejected with the photo.
    """
    rows = list(RejectedImage.objects.filter(sha256=photo.sha256))
    if not rows:
        return
    faces = {tuple(_key(face)): face.pk for face in PhotoFace.objects.filter(photo=photo)}
    known = set(MatchRejection.objects.filter(photo=photo).values_list("member_id", "face_id"))
    said = {(row.member_id, faces.get(tuple(row.face)) if row.face else None) for row in rows}
    MatchRejection.objects.bulk_create(
        MatchRejection(member_id=member_id, photo=photo, face_id=face_id)
        for member_id, face_id in sorted(said - known, key=str)
    )
    rejected = [face_id for _, face_id in said if face_id]
    grouping.add_unmatched(PhotoFace.objects.filter(pk__in=rejected))


def undo(member: Member, photo: Photo) -> bool:
    """Take back the member's rejections of `photo` and of its copies; False if there were none."""
    RejectedImage.objects.filter(member=member, sha256=photo.sha256).delete()
    said = MatchRejection.objects.filter(member=member, photo__in=copies_of(photo))
    return bool(said.delete()[0])


def _key(face: PhotoFace) -> list[int | None]:
    return [face.index, face.top, face.right, face.bottom, face.left]
