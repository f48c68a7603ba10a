from django.urls import re_path

from backend.photos.web import albums, members, people

MEMBERS = r"^members"
PHOTOS = rf"{MEMBERS}/photos"
FACES = rf"{PHOTOS}/facedetection"
PK = r"(?P<pk>[0-9]{1,18})"
SAID = r"(?P<said>like|unlike|not-me|undo-not-me|me|not-by-hand|hide|show)"
DECIDED = r"(?P<action>name|hide|show|merge|split|take-out|offer|confirm|disclaim)"

urlpatterns = [
    re_path(rf"{MEMBERS}/?$", albums.start, name="members-page"),
    re_path(rf"{PHOTOS}/?$", albums.album_list, name="albums-page"),
    re_path(rf"{PHOTOS}/albums/new/?$", albums.new, name="album-new-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/?$", albums.album, name="album-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/edit/?$", albums.edit, name="album-edit-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/delete/?$", albums.delete, name="album-delete-page"),
    re_path(rf"{PHOTOS}/albums/{PK}/choose/?$", albums.choose, name="album-choose"),
    re_path(rf"{PHOTOS}/albums/{PK}/download/?$", albums.download, name="album-download"),
    re_path(rf"{PHOTOS}/albums/{PK}/upload/?$", albums.upload, name="album-upload-page"),
    re_path(rf"{PHOTOS}/{PK}/?$", albums.photo, name="photo-page"),
    re_path(rf"{PHOTOS}/{PK}/original/?$", albums.original, name="photo-original"),
    re_path(rf"{PHOTOS}/{PK}/tag/?$", albums.tag, name="photo-tag"),
    re_path(rf"{PHOTOS}/{PK}/{SAID}/?$", albums.say, name="photo-say"),
    re_path(rf"{FACES}/you/?$", members.you, name="you-page"),
    re_path(rf"{FACES}/taken-off/?$", members.taken_off, name="taken-off-page"),
    re_path(rf"{FACES}/reference-faces/?$", members.reference_list, name="references-page"),
    re_path(rf"{FACES}/upload/?$", members.upload, name="reference-upload-page"),
    re_path(rf"{FACES}/delete/{PK}/?$", members.delete, name="reference-delete-page"),
    re_path(rf"{FACES}/which/{PK}/?$", members.which, name="reference-which-page"),
    re_path(
        rf"{FACES}/which/{PK}/(?P<face>[0-9]{{1,4}})/crop\.jpg$",
        members.reference_crop,
        name="reference-face-crop",
    ),
    re_path(rf"{FACES}/opt-out/?$", members.opt_out, name="opt-out-page"),
    re_path(rf"{FACES}/claim/{PK}/?$", members.claim, name="claim-page"),
    re_path(rf"{PHOTOS}/people/?$", people.people, name="people-page"),
    re_path(rf"{PHOTOS}/people/unmerge/?$", people.unmerge, name="people-unmerge"),
    re_path(rf"{PHOTOS}/people/faces/{PK}/crop\.jpg$", people.crop, name="unknown-face-crop"),
    re_path(rf"{PHOTOS}/people/{PK}/?$", people.person, name="person-page"),
    re_path(rf"{PHOTOS}/people/{PK}/{DECIDED}/?$", people.decide, name="person-decide"),
]
