"""The pictures of photos and references: for whom they are for, sent by nginx."""

from uuid import UUID

from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpRequest, HttpResponse

from backend.clients.auth import signed_urls
from backend.common.http import protected_files
from backend.common.http.errors import read_only
from backend.photos.files import media_links


@read_only
def photo(request: HttpRequest, key: str, size: str) -> HttpResponse:
    """A thumbnail of a photo, or the photo; 404 also for who may not see it."""
    width_px = None if size == "full" else int(size)
    return _send(
        media_links.photo_picture(
            UUID(key), width_px, viewer=request.user, by_link=_holds_link(request)
        )
    )


@read_only
def reference(request: HttpRequest, key: str) -> HttpResponse:
    """The picture of a reference, for its member."""
    return _send(
        media_links.reference_picture(UUID(key), viewer=request.user, by_link=_holds_link(request))
    )


def _holds_link(request: HttpRequest) -> bool:
    return signed_urls.is_signed(request.GET) and signed_urls.verify(request.path, request.GET)


def _send(picture: FieldFile | None) -> HttpResponse:
    if picture is None:
        raise Http404
    return protected_files.send(picture)
