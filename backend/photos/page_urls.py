from django.urls import re_path

from backend.photos import album_pages, login_pages, member_pages, people_pages

MEMBERS = r"^members"
PHOTOS = rf"{MEMBERS}/photos"
FACES = rf"{PHOTOS}/facedetection"
PK = r"(?P<pk>[0-9]{1,18})"
SAID = r"(?P<said>like|unlike|not-me|undo-not-me|me|not-by-hand|hide|show)"
DECIDED = r"(?P<action>name|hide|show|merge|split|take-out|offer|confirm|disclaim)"

urlpatterns = [
    re_path(rf"{MEMBERS}/login/?$", login_pages.Login.as_view(), name="member-login"),
    re_path(rf"{MEMBERS}/logout/?$", login_pages.Logout.as_view(), name="member-logout"),
    re_path(rf"{MEMBERS}/?$", album_pages.start, name="members-page"),
    re_path(rf"{PHOTOS}/?$", album_pages.album_list, name="albums-page"),
    re_path(rf"{PHOTOS}/albums/new/?$", album_pages.new, name="album-new-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/?$", album_pages.album, name="album-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/upload/?$", album_pages.upload, name="album-upload-page"),
    re_path(rf"{PHOTOS}/{PK}/?$", album_pages.photo, name="photo-page"),
    re_path(rf"{PHOTOS}/{PK}/{SAID}/?$", album_pages.say, name="photo-say"),
    re_path(rf"{FACES}/you/?$", member_pages.you, name="you-page"),
    re_path(rf"{FACES}/reference-faces/?$", member_pages.reference_list, name="references-page"),
    re_path(rf"{FACES}/upload/?$", member_pages.upload, name="reference-upload-page"),
    re_path(rf"{FACES}/delete/{PK}/?$", member_pages.delete, name="reference-delete-page"),
    re_path(rf"{FACES}/opt-out/?$", member_pages.opt_out, name="opt-out-page"),
    re_path(rf"{FACES}/claim/{PK}/?$", member_pages.claim, name="claim-page"),
    re_path(rf"{PHOTOS}/people/?$", people_pages.people, name="people-page"),
    re_path(rf"{PHOTOS}/people/{PK}/?$", people_pages.person, name="person-page"),
    re_path(rf"{PHOTOS}/people/{PK}/{DECIDED}/?$", people_pages.decide, name="person-decide"),
]
