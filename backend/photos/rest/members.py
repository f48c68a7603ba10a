"""The API of a member: their photos, their references, and what they say about both."""

from __future__ import annotations

from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis.serializers import DETECTOR, requested_detector
from backend.common.http.parsers import MultiPartParser
from backend.photos import pagination, status
from backend.photos.access.audited import note
from backend.photos.access.authentication import MemberView, UploadView
from backend.photos.access.selectors import get_or_404, photo_for
from backend.photos.albums import service
from backend.photos.clustering import curation
from backend.photos.files import storage
from backend.photos.matching import member_photos
from backend.photos.members import consent, references
from backend.photos.models import Person, Reference
from backend.photos.rest import schema as docs
from backend.photos.rest import serializers as shapes
from backend.photos.rest.base import POLLED, one_file
from backend.photos.rest.schema import PK, endpoint


class MatchesView(MemberView):
    @docs.page("matches", shapes.PhotoSerializer, docs.PHOTO)
    def get(self, request: Request) -> Response:
        """The photos that the member is on, newest album first."""
        photos = shapes.with_likes(member_photos.photos_of(self.member), request.user)
        page = pagination.page(photos, request.GET, order=pagination.NEWEST_PHOTOS, count_with=True)
        return Response(shapes.paged(page, shapes.PhotoSerializer, request))


class MatchView(MemberView):
    @endpoint("i_am_on", PK)
    def put(self, request: Request, pk: str) -> Response:
        """I am on this photo."""
        member_photos.add_by_hand(self.member, photo_for(request.user, pk))
        return Response(status=204)

    @endpoint("i_am_not_on", PK)
    def delete(self, request: Request, pk: str) -> Response:
        """Take back that I am on this photo."""
        member_photos.remove_by_hand(self.member, photo_for(request.user, pk))
        return Response(status=204)


class NotMeView(MemberView):
    @endpoint("not_me", PK)
    def put(self, request: Request, pk: str) -> Response:
        """This is not me."""
        member_photos.say_not_me(self.member, photo_for(request.user, pk))
        return Response(status=204)

    @endpoint("undo_not_me", PK)
    def delete(self, request: Request, pk: str) -> Response:
        """Take back that this is not me."""
        member_photos.undo_not_me(self.member, photo_for(request.user, pk))
        return Response(status=204)


class LikeView(MemberView):
    @endpoint("like", PK)
    def put(self, request: Request, pk: str) -> Response:
        """Like a photo."""
        service.like(photo_for(self.user, pk), self.user)
        return Response(status=204)

    @endpoint("unlike", PK)
    def delete(self, request: Request, pk: str) -> Response:
        """Take a like back."""
        service.unlike(photo_for(self.user, pk), self.user)
        return Response(status=204)


class ReferencesView(UploadView):
    parser_classes = (MultiPartParser,)

    @docs.page("references", shapes.ReferenceSerializer, docs.REFERENCE)
    def get(self, request: Request) -> Response:
        """The member's references."""
        rows = references.references_of(self.member)
        page = pagination.page(rows, request.GET, order=("-created_at", "-pk"))
        return Response(shapes.paged(page, shapes.ReferenceSerializer, request))

    @endpoint(
        "reference_upload",
        DETECTOR,
        shape=shapes.ReferenceSerializer,
        example=docs.REFERENCE,
        codes=[201],
        request=shapes.FileSerializer,
        refused="file",
        more=[413, 415],
    )
    def post(self, request: Request) -> Response:
        """Upload one more reference."""
        file, detector = one_file(request, "file"), requested_detector(request)
        if references.is_known(self.member, file):
            raise ValidationError({"file": [references.KNOWN]})
        try:
            reference = references.add(self.member, file, name=file.name or "", detector=detector)
        except storage.UploadRejected as error:
            raise ValidationError({"file": [str(error)]}) from error
        return Response(shapes.ReferenceSerializer(reference).data, status=201)


class ReferenceView(MemberView):
    @endpoint("reference", PK, shape=shapes.ReferenceSerializer, example=docs.REFERENCE)
    def get(self, request: Request, pk: str) -> Response:
        """One of the member's references."""
        return Response(shapes.ReferenceSerializer(self.reference(pk)).data)

    @endpoint("reference_delete", PK)
    def delete(self, request: Request, pk: str) -> Response:
        """Mark a reference for deletion."""
        reference = self.reference(pk)
        note(request, "delete", reference)
        references.mark_for_deletion(reference)
        return Response(status=204)

    def reference(self, pk: str) -> Reference:
        reference: Reference = get_or_404(references.references_of(self.member), pk)
        return reference


class ConsentView(MemberView):
    @endpoint("consent", shape=shapes.ConsentSerializer, example=docs.CONSENT)
    def get(self, request: Request) -> Response:
        """Whether the member takes part."""
        return Response(shapes.ConsentSerializer(self.member).data)

    @endpoint("opt_in", shape=shapes.ConsentSerializer, example=docs.CONSENT)
    def put(self, request: Request) -> Response:
        """Take part."""
        member = self.member
        consent.opt_in(member)
        return Response(shapes.ConsentSerializer(member).data)

    @endpoint("opt_out")
    def delete(self, request: Request) -> Response:
        """Erase everything of the member's face at once."""
        member = self.member
        note(request, "opt out", member)
        consent.opt_out(member)
        return Response(status=204)


class StatusView(MemberView):
    @endpoint("member_status", shape=shapes.MemberStatusSerializer, example=docs.MEMBER_STATUS)
    def get(self, request: Request) -> Response:
        """Whether anything of the member's is still being processed.

        Pages poll it; with `If-None-Match` an unchanged status is answered 304.
        """
        return Response(status.member_status(self.member), headers=POLLED)


class ClaimView(MemberView):
    @endpoint(
        "claim",
        PK,
        shape=shapes.ClaimSerializer,
        example={"pk": 1, "status": "claimed"},
        refused="detail",
    )
    def put(self, request: Request, pk: str) -> Response:
        """This group is me; or yes, where staff has offered it."""
        person = self.person(pk)
        if not curation.agree(person, self.member):
            try:
                curation.claim(person, self.member)
            except curation.CurationError as error:
                raise ValidationError({"detail": str(error)}) from error
        person.refresh_from_db()
        return Response(shapes.ClaimSerializer(person).data)

    @endpoint("disclaim", PK)
    def delete(self, request: Request, pk: str) -> Response:
        """This group is not me, or no longer."""
        person = self.person(pk)
        if person.member_id != self.member.pk:
            raise Http404
        curation.disclaim(person)
        return Response(status=204)

    def person(self, pk: str) -> Person:
        person: Person = get_or_404(curation.claimable_by(self.member), pk)
        return person
