from django.urls import re_path

from backend.common.http.paths import UUID
from backend.photos.media.views import PhotoPictureView, ReferencePictureView
from backend.photos.models import WIDTHS_PX

KEY = rf"(?P<key>{UUID})"
SIZE = rf"(?P<size>full|{'|'.join(map(str, WIDTHS_PX))})"

urlpatterns = [
    re_path(rf"^photos/{KEY}/{SIZE}\.jpg$", PhotoPictureView.as_view(), name="photo-picture"),
    re_path(rf"^references/{KEY}\.jpg$", ReferencePictureView.as_view(), name="reference-picture"),
]
