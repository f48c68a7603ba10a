from django.urls import re_path
from django.views.decorators.http import conditional_page

from backend.photos.rest import albums as albums
from backend.photos.rest import lambda_callback
from backend.photos.rest import members as views
from backend.photos.rest import people as people

API = r"^api/v2/photos"
FACES = rf"{API}/facedetection"
PK = r"(?P<pk>[0-9]+)"
# No table has a key of more digits.
SOURCE = r"^api/facedetection/{}/(?P<type>photo|reference)/(?P<pk>[0-9]{{1,18}})/?$"

urlpatterns = [
    re_path(SOURCE.format("encodings"), lambda_callback.EncodingsView.as_view(), name="encodings"),
    re_path(SOURCE.format("sources"), lambda_callback.SourceView.as_view(), name="source"),
    re_path(rf"{FACES}/matches/?$", views.MatchesView.as_view(), name="matches"),
    re_path(rf"{FACES}/matches/{PK}/?$", views.MatchView.as_view(), name="match"),
    re_path(rf"{FACES}/matches/{PK}/not-me/?$", views.NotMeView.as_view(), name="not-me"),
    re_path(rf"{FACES}/reference-faces/?$", views.ReferencesView.as_view(), name="references"),
    re_path(rf"{FACES}/reference-faces/{PK}/?$", views.ReferenceView.as_view(), name="reference"),
    re_path(rf"{FACES}/consent/?$", views.ConsentView.as_view(), name="consent"),
    re_path(
        rf"{FACES}/status/?$", conditional_page(views.StatusView.as_view()), name="photos-status"
    ),
    re_path(rf"{FACES}/people/{PK}/claim/?$", views.ClaimView.as_view(), name="claim"),
    re_path(rf"{API}/albums/?$", albums.AlbumsView.as_view(), name="albums"),
    re_path(rf"{API}/albums/{PK}/?$", conditional_page(albums.AlbumView.as_view()), name="album"),
    re_path(rf"{API}/albums/{PK}/photos/?$", albums.AlbumPhotosView.as_view(), name="album-photos"),
    re_path(
        rf"{API}/albums/{PK}/archives/?$", albums.AlbumArchivesView.as_view(), name="album-archives"
    ),
    re_path(rf"{API}/archives/{PK}/?$", albums.ArchiveView.as_view(), name="archive"),
    re_path(rf"{API}/photos/{PK}/?$", albums.PhotoView.as_view(), name="photo"),
    re_path(rf"{API}/photos/{PK}/like/?$", views.LikeView.as_view(), name="photo-like"),
    re_path(rf"{API}/photos/{PK}/members/?$", albums.PhotoMembersView.as_view(), name="on-photo"),
    re_path(
        rf"{API}/photos/{PK}/members/(?P<member>[0-9]+)/?$",
        albums.PhotoMemberView.as_view(),
        name="on-photo-member",
    ),
    re_path(rf"{API}/people/?$", people.PeopleView.as_view(), name="people"),
    re_path(rf"{API}/people/{PK}/?$", people.PersonView.as_view(), name="person"),
    re_path(
        rf"{API}/people/{PK}/(?P<action>merge|split|take-out|offer|confirm|disclaim)/?$",
        people.PersonActionView.as_view(),
        name="person-action",
    ),
]
