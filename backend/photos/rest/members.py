"""The API for members: their photos, their references, and what they say about both."""

from __future__ import annotations

from typing import Any, cast

from django.core.files.base import File
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common.http.parsers import MultiPartParser
from backend.photos import pagination, status
from backend.photos.access.authentication import MemberView, UploadView
from backend.photos.access.permissions import sees_all
from backend.photos.albums import service
from backend.photos.clustering import curation
from backend.photos.files import storage
from backend.photos.matching import member_photos
from backend.photos.members import consent as members
from backend.photos.members import references
from backend.photos.models import Photo, Reference
from backend.photos.people_models import Person
from backend.photos.rest import serializers as shapes

_NO_FILE = "No file was submitted."

POLLED = {"Cache-Control": "private, no-cache"}
"""A browser keeps the answer, and asks with its `ETag` whether it has changed."""


class MatchesView(MemberView):
    """GET: the photos on which the member is."""

    def get(self, request: Request) -> Response:
        photos = shapes.with_likes(member_photos.photos_of(self.member), request.user)
        page = pagination.page(photos, request.GET, order=pagination.NEWEST_PHOTOS, count_with=True)
        return Response(shapes.paged(page, shapes.photo, request))


class MatchView(MemberView):
    """PUT: "I am on this photo"; DELETE: that is taken back."""

    def put(self, request: Request, pk: str) -> Response:
        member_photos.add_by_hand(self.member, seen(pk, request.user))
        return Response(status=204)

    def delete(self, request: Request, pk: str) -> Response:
        member_photos.remove_by_hand(self.member, seen(pk, request.user))
        return Response(status=204)


class NotMeView(MemberView):
    """PUT: "this is not me"; DELETE: that is taken back."""

    def put(self, request: Request, pk: str) -> Response:
        member_photos.say_not_me(self.member, seen(pk, request.user))
        return Response(status=204)

    def delete(self, request: Request, pk: str) -> Response:
        member_photos.undo_not_me(self.member, seen(pk, request.user))
        return Response(status=204)


class LikeView(MemberView):
    """PUT: like a photo; DELETE: that is taken back."""

    def put(self, request: Request, pk: str) -> Response:
        service.like(seen(pk, self.user), self.user)
        return Response(status=204)

    def delete(self, request: Request, pk: str) -> Response:
        service.unlike(seen(pk, self.user), self.user)
        return Response(status=204)


class ReferencesView(UploadView):
    """GET: the member's references; POST, multipart field `file`: one more."""

    parser_classes = (MultiPartParser,)

    def get(self, request: Request) -> Response:
        rows = references.of(self.member)
        page = pagination.page(rows, request.GET, order=("-created_at", "-pk"))
        return Response(shapes.paged(page, shapes.reference, request))

    def post(self, request: Request) -> Response:
        file = one_file(request, "file")
        try:
            reference = references.add(self.member, file, name=file.name or "")
        except storage.Refused as error:
            raise ValidationError({"file": [str(error)]}) from error
        return Response(shapes.reference(reference), status=201)


class ReferenceView(MemberView):
    """GET: one of the member's references; DELETE: mark it for deletion."""

    def get(self, request: Request, pk: str) -> Response:
        return Response(shapes.reference(self.reference(pk)))

    def delete(self, request: Request, pk: str) -> Response:
        references.mark_for_deletion(self.reference(pk))
        return Response(status=204)

    def reference(self, pk: str) -> Reference:
        reference: Reference = found(references.of(self.member), pk)
        return reference


class ConsentView(MemberView):
    """GET: whether the member takes part; PUT: they do; DELETE: erase all at once."""

    def get(self, request: Request) -> Response:
        return Response(self.consent())

    def put(self, request: Request) -> Response:
        members.opt_in(self.member)
        return Response(self.consent())

    def delete(self, request: Request) -> Response:
        members.opt_out(self.member)
        return Response(status=204)

    def consent(self) -> dict[str, Any]:
        member = self.member
        times = {"opted_in_at": member.opted_in_at, "opted_out_at": member.opted_out_at}
        told = {name: at.isoformat() if at else None for name, at in times.items()}
        return {"takes_part": member.opted_in_at is not None, **told}


class StatusView(MemberView):
    """GET: whether anything of the member's is still being processed; pages poll it."""

    def get(self, request: Request) -> Response:
        return Response(status.of_member(self.member), headers=POLLED)


class ClaimView(MemberView):
    """PUT: "this group is me", or yes to the offer of it; DELETE: it is not, or no more."""

    def put(self, request: Request, pk: str) -> Response:
        person = self.person(pk)
        if not curation.agree(person, self.member):
            try:
                curation.claim(person, self.member)
            except curation.Refused as error:
                raise ValidationError({"detail": str(error)}) from error
        person.refresh_from_db()
        return Response({"pk": person.pk, "status": shapes.status_of(person)})

    def delete(self, request: Request, pk: str) -> Response:
        person = self.person(pk)
        if person.member_id != self.member.pk:
            raise Http404
        curation.disclaim(person)
        return Response(status=204)

    def person(self, pk: str) -> Person:
        person: Person = found(curation.open_to(self.member), pk)
        return person


def found(rows: Any, pk: str) -> Any:
    """The row with this key; 404 as for one that does not exist."""
    # More digits than a key has: no database takes them.
    row = rows.filter(pk=pk).first() if len(pk) < 19 else None
    if row is None:
        raise Http404
    return row


def seen(pk: str, user: Any) -> Photo:
    """A photo that this user may see; 404 for any other."""
    photos = Photo.objects.all() if sees_all(user) else Photo.objects.visible()
    return cast(Photo, found(photos.select_related("album"), pk))


def one_file(request: Request, field: str) -> File[Any]:
    """The one file that was sent in this field."""
    files = request.FILES.getlist(field)
    if len(files) != 1:
        raise ValidationError({field: ["Submit one file at a time." if files else _NO_FILE]})
    file: File[Any] = files[0]
    return file
