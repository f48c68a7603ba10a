"""The API of albums and photos: members read them, staff makes and fills them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis.serializers import DETECTOR, requested_detector
from backend.clients.limits.upload_preflight import FORM_BYTES
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.photos import pagination, status
from backend.photos.access.audited import note
from backend.photos.access.authentication import MemberView, UploadView
from backend.photos.access.permissions import can_manage_albums, can_manage_people
from backend.photos.access.selectors import albums_for, get_or_404, photo_for, photos_for
from backend.photos.albums import archive_import, service
from backend.photos.files import storage
from backend.photos.matching import member_photos
from backend.photos.models import Album, ArchiveUpload, Member, Photo
from backend.photos.rest import schema as docs
from backend.photos.rest import serializers as shapes
from backend.photos.rest.base import POLLED, one_file, valid
from backend.photos.rest.schema import MEMBER, PK, endpoint


class AlbumsView(MemberView):
    staff = {"post": can_manage_albums}
    parser_classes = (JSONParser,)

    @docs.page("albums", shapes.AlbumSerializer, docs.ALBUM)
    def get(self, request: Request) -> Response:
        """The albums, newest first."""
        page = pagination.page(
            albums_for(request.user), request.GET, order=pagination.NEWEST_ALBUMS
        )
        return Response(shapes.paged(page, shapes.AlbumSerializer, request))

    @endpoint(
        "album_make",
        shape=shapes.AlbumSerializer,
        example=docs.ALBUM,
        codes=[201],
        request=docs.json(shapes.AlbumSerializer, title="Summer", date="2026-01-02"),
        refused="title",
        more=[413, 415],
    )
    def post(self, request: Request) -> Response:
        """Make an album, by staff."""
        album = service.create_album(**valid(shapes.AlbumSerializer(data=request.data)))
        return Response(shapes.AlbumSerializer(album).data, status=201)


class AlbumView(MemberView):
    staff = {"patch": can_manage_albums}
    parser_classes = (JSONParser,)

    @endpoint(
        "album",
        PK,
        shape=PolymorphicProxySerializer(
            "AnyAlbum", [shapes.AlbumSerializer, shapes.AlbumProgressSerializer], None
        ),
        example=docs.ALBUM,
    )
    def get(self, request: Request, pk: str) -> Response:
        """An album; for staff with the progress of its photos.

        Pages poll it; with `If-None-Match` an unchanged album is answered 304.
        """
        album = get_or_404(albums_for(request.user), pk)
        shape = shapes.AlbumSerializer(album).data
        if can_manage_albums(request.user):
            shape |= {**service.progress(album), "status": status.album_status(album)}
        return Response(shape, headers=POLLED)

    @endpoint(
        "album_change",
        PK,
        shape=shapes.AlbumSerializer,
        example=docs.ALBUM,
        request=docs.json(shapes.AlbumSerializer(partial=True), hidden=True),
        refused="title",
        more=[413, 415],
    )
    def patch(self, request: Request, pk: str) -> Response:
        """Change an album's title, its date or whether it is hidden, by staff."""
        album = get_or_404(Album.objects.all(), pk)
        given = valid(shapes.AlbumSerializer(album, data=request.data, partial=True))
        note(request, "change", album)
        Album.objects.filter(pk=album.pk).update(**given)
        album.refresh_from_db()
        return Response(shapes.AlbumSerializer(album).data)


class AlbumPhotosView(UploadView):
    staff = {"post": can_manage_albums}
    parser_classes = (MultiPartParser,)

    @docs.page("album_photos", shapes.PhotoSerializer, docs.PHOTO, PK)
    def get(self, request: Request, pk: str) -> Response:
        """An album's photos, in their order."""
        album = get_or_404(albums_for(request.user), pk)
        photos = shapes.with_likes(photos_for(request.user).filter(album=album), request.user)
        page = pagination.page(photos, request.GET, order=pagination.IN_ALBUM)
        return Response(shapes.paged(page, shapes.PhotoSerializer, request))

    @endpoint(
        "album_add",
        PK,
        DETECTOR,
        shape=shapes.UploadReportSerializer,
        example=docs.REPORT,
        codes=[200, 201],
        request=shapes.FilesSerializer,
        refused="file",
        more=[413, 415],
    )
    def post(self, request: Request, pk: str) -> Response:
        """Add photos, by staff.

        201 if at least one was added. `skipped` names the others, with reasons.
        """
        album = get_or_404(Album.objects.all(), pk)
        files = request.FILES.getlist("file")
        if not files:
            raise ValidationError({"file": ["No file was submitted."]})
        report = service.add_photos(album, files, detector=requested_detector(request))
        shape = shapes.UploadReportSerializer(report)
        return Response(shape.data, status=201 if report.added else 200)


class AlbumArchivesView(UploadView):
    staff = {"post": can_manage_albums}
    parser_classes = (MultiPartParser,)

    @property
    def max_body_bytes(self) -> int:
        """nginx has no bound here: it asks the backend before it reads a body."""
        return int(settings.FACES_MAX_ARCHIVE_BYTES) + FORM_BYTES

    @endpoint(
        "archive_upload",
        PK,
        DETECTOR,
        shape=shapes.ArchiveSerializer,
        example=docs.ARCHIVE,
        codes=[202],
        request=shapes.FileSerializer,
        refused="file",
        more=[413, 415],
    )
    def post(self, request: Request, pk: str) -> Response:
        """Add the photos of a zip, tar or tar.gz, by staff."""
        album = get_or_404(Album.objects.all(), pk)
        file, detector = one_file(request, "file"), requested_detector(request)
        try:
            upload = archive_import.accept(album, file, by=self.user, detector=detector)
        except storage.UploadRejected as error:
            raise ValidationError({"file": [str(error)]}) from error
        return Response(shapes.ArchiveSerializer(upload).data, status=202)


class ArchiveView(MemberView):
    staff = {"get": can_manage_albums}

    @endpoint("archive", PK, shape=shapes.ArchiveSerializer, example=docs.ARCHIVE)
    def get(self, request: Request, pk: str) -> Response:
        """The progress of an archive, and what was skipped and why, for staff."""
        return Response(shapes.ArchiveSerializer(get_or_404(ArchiveUpload.objects.all(), pk)).data)


class PhotoView(MemberView):
    staff = {"patch": can_manage_albums}
    parser_classes = (JSONParser,)

    @endpoint("photo", PK, shape=shapes.PhotoInFullSerializer, example=docs.PHOTO_IN_FULL)
    def get(self, request: Request, pk: str) -> Response:
        """A photo with its faces."""
        photos = Photo.objects.filter(pk=photo_for(request.user, pk).pk).select_related("album")
        photo = shapes.with_likes(photos, request.user).get()
        context = {"member": self.member}
        return Response(shapes.PhotoInFullSerializer(photo, context=context).data)

    @endpoint(
        "photo_hide",
        PK,
        shape=shapes.HiddenSerializer,
        example={"pk": 7, "hidden": True},
        request=docs.json(shapes.HiddenSerializer, hidden=True),
        refused="hidden",
        more=[413, 415],
    )
    def patch(self, request: Request, pk: str) -> Response:
        """Hide a photo from members, or show it again, by staff."""
        photo = get_or_404(Photo.objects.all(), pk)
        photo.hidden = valid(shapes.HiddenSerializer(data=request.data))["hidden"]
        note(request, "hide" if photo.hidden else "show", photo)
        service.hide_photos([photo], hidden=photo.hidden)
        return Response(shapes.HiddenSerializer(photo).data)


class PhotoMembersView(MemberView):
    staff = {"get": can_manage_people}

    @endpoint("on_photo", PK, shape=shapes.MembersOnPhotoSerializer, example={"results": []})
    def get(self, request: Request, pk: str) -> Response:
        """Who is on a photo, and why, for staff."""
        there = member_photos.members_on(get_or_404(Photo.objects.all(), pk))
        return Response(shapes.MembersOnPhotoSerializer({"results": there}).data)


class PhotoMemberView(MemberView):
    staff = {"put": can_manage_people, "delete": can_manage_people}

    @endpoint("put_on_photo", PK, MEMBER)
    def put(self, request: Request, pk: str, member: str) -> Response:
        """This member is on the photo, by staff."""
        member_photos.add_by_hand(self.whom(member), get_or_404(Photo.objects.all(), pk))
        return Response(status=204)

    @endpoint("take_off_photo", PK, MEMBER)
    def delete(self, request: Request, pk: str, member: str) -> Response:
        """This member is not on the photo, by staff."""
        photo, whom = get_or_404(Photo.objects.all(), pk), self.whom(member)
        if whom.pk not in {each.member_id for each in member_photos.members_on(photo)}:
            raise Http404
        member_photos.say_not_me(whom, photo)
        return Response(status=204)

    def whom(self, member: str) -> Any:
        return get_or_404(Member.objects.all(), member)
