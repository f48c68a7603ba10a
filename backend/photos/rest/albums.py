"""The API of albums and photos: to be looked at by members, made and filled by staff."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.clients.limits.upload_preflight import FORM_BYTES
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.photos import forms, pagination, status
from backend.photos.access.authentication import MemberView, UploadView
from backend.photos.access.permissions import keeps_albums, keeps_people, sees_all
from backend.photos.albums import archive_import, service
from backend.photos.files import storage
from backend.photos.matching import member_photos
from backend.photos.models import Album, ArchiveUpload, Member, Photo
from backend.photos.rest import serializers as shapes
from backend.photos.rest.members import POLLED, found, one_file, seen


class AlbumsView(MemberView):
    """GET: the albums, newest first; POST: a new one, by staff."""

    staff = {"post": keeps_albums}
    parser_classes = (JSONParser,)

    def get(self, request: Request) -> Response:
        page = pagination.page(
            albums_for(request.user), request.GET, order=pagination.NEWEST_ALBUMS
        )
        return Response(shapes.paged(page, shapes.album, request))

    def post(self, request: Request) -> Response:
        given = cleaned(forms.AlbumForm, request)
        album = service.create_album(**given)
        return Response(shapes.album(album), status=201)


class AlbumView(MemberView):
    """GET: an album; PATCH: its title, its date, whether it is hidden, by staff."""

    staff = {"patch": keeps_albums}
    parser_classes = (JSONParser,)

    def get(self, request: Request, pk: str) -> Response:
        album = found(albums_for(request.user), pk)
        if not keeps_albums(request.user):
            return Response(shapes.album(album))
        shape = {**shapes.album_with_progress(album), "status": status.of_album(album)}
        return Response(shape, headers=POLLED)

    def patch(self, request: Request, pk: str) -> Response:
        album = found(Album.objects.all(), pk)
        now = {name: getattr(album, name) for name in ("title", "date", "hidden")}
        given = cleaned(forms.AlbumForm, request, now=now)
        Album.objects.filter(pk=album.pk).update(**given)
        album.refresh_from_db()
        return Response(shapes.album(album))


class AlbumPhotosView(UploadView):
    """GET: an album's photos in their order; POST, multipart field `file`, many: more of them."""

    staff = {"post": keeps_albums}
    parser_classes = (MultiPartParser,)

    def get(self, request: Request, pk: str) -> Response:
        album = found(albums_for(request.user), pk)
        photos = shapes.with_likes(photos_in(album, request.user), request.user)
        page = pagination.page(photos, request.GET, order=pagination.IN_ALBUM)
        return Response(shapes.paged(page, shapes.photo, request))

    def post(self, request: Request, pk: str) -> Response:
        album = found(Album.objects.all(), pk)
        files = request.FILES.getlist("file")
        if not files:
            raise ValidationError({"file": ["No file was submitted."]})
        report = service.add_photos(album, files)
        added = [{"pk": photo.pk, "name": photo.name} for photo in report.added]
        skipped = [{"name": name, "reason": reason} for name, reason in report.skipped]
        return Response({"added": added, "skipped": skipped}, status=201 if added else 200)


class AlbumArchivesView(UploadView):
    """POST, multipart field `file`: a zip, tar or tar.gz of photos, by staff."""

    staff = {"post": keeps_albums}
    parser_classes = (MultiPartParser,)

    @property
    def max_body_bytes(self) -> int:
        """nginx has no bound here: it asks before it takes a body, and is told by this one."""
        return int(settings.FACES_MAX_ARCHIVE_BYTES) + FORM_BYTES

    def post(self, request: Request, pk: str) -> Response:
        album = found(Album.objects.all(), pk)
        file = one_file(request, "file")
        try:
            upload = archive_import.accept(album, file, by=self.user)
        except storage.Refused as error:
            raise ValidationError({"file": [str(error)]}) from error
        return Response(shapes.archive(upload), status=202)


class ArchiveView(MemberView):
    """GET: how far an archive is, and what was skipped and why; for staff."""

    staff = {"get": keeps_albums}

    def get(self, request: Request, pk: str) -> Response:
        return Response(shapes.archive(found(ArchiveUpload.objects.all(), pk)))


class PhotoView(MemberView):
    """GET: a photo with its faces; PATCH: whether it is hidden, by staff."""

    staff = {"patch": keeps_albums}
    parser_classes = (JSONParser,)

    def get(self, request: Request, pk: str) -> Response:
        photos = Photo.objects.filter(pk=seen(pk, request.user).pk).select_related("album")
        photo = shapes.with_likes(photos, request.user).get()
        return Response(shapes.photo_in_full(photo, self.member))

    def patch(self, request: Request, pk: str) -> Response:
        photo = found(Photo.objects.all(), pk)
        given = cleaned(forms.HiddenForm, request)
        service.hide_photos([photo], hidden=given["hidden"])
        return Response({"pk": photo.pk, "hidden": given["hidden"]})


class PhotoMembersView(MemberView):
    """GET: who is on a photo, and by what; for staff."""

    staff = {"get": keeps_people}

    def get(self, request: Request, pk: str) -> Response:
        there = member_photos.members_on(found(Photo.objects.all(), pk))
        return Response({"results": [shapes.on_photo(each) for each in there]})


class PhotoMemberView(MemberView):
    """PUT: this member is on the photo; DELETE: they are not; by staff."""

    staff = {"put": keeps_people, "delete": keeps_people}

    def put(self, request: Request, pk: str, member: str) -> Response:
        member_photos.add_by_hand(self.whom(member), found(Photo.objects.all(), pk))
        return Response(status=204)

    def delete(self, request: Request, pk: str, member: str) -> Response:
        photo, whom = found(Photo.objects.all(), pk), self.whom(member)
        if whom.pk not in {each.member_id for each in member_photos.members_on(photo)}:
            raise Http404
        member_photos.say_not_me(whom, photo)
        return Response(status=204)

    def whom(self, member: str) -> Any:
        return found(Member.objects.all(), member)


def albums_for(user: Any) -> Any:
    """Those that this user may see."""
    return Album.objects.all() if sees_all(user) else Album.objects.visible()


def photos_for(user: Any) -> Any:
    """The photos that this user may see; none without a picture yet."""
    every = Photo.objects.exclude(file="") if sees_all(user) else Photo.objects.visible()
    return every.select_related("album")


def photos_in(album: Album, user: Any) -> Any:
    """Those of them that are in the album."""
    return photos_for(user).filter(album=album)


def _plain(value: Any) -> str:
    """As a form would send it: its fields know nothing else, and one for dates falls over `true`.

    Those for true and false know them by these names.
    """
    # A lone surrogate, which JSON can write, is no text that a database takes.
    return "" if value is None else str(value).encode(errors="replace").decode()


def cleaned(form: type[forms.Form], request: Request, *, now: Any = None) -> dict[str, Any]:
    """What was sent, over what is so `now`. Raises `ValidationError`."""
    if not isinstance(request.data, dict):
        raise ValidationError({"detail": "Send a JSON object."})
    for name in form.base_fields:
        # Forms are made for texts, and fall over lists.
        if not isinstance(request.data.get(name, ""), str | bool):
            raise ValidationError({name: ["Send a text, or true or false."]})
    filled = form({**(now or {}), **{name: _plain(value) for name, value in request.data.items()}})
    if not filled.is_valid():
        raise ValidationError(
            {name: [str(each) for each in some] for name, some in filled.errors.items()}
        )
    return filled.cleaned_data
