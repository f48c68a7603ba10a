from django.urls import re_path

from backend.common.http.paths import UUID
from backend.submissions import views

urlpatterns = [
    re_path(r"^image/?$", views.ImageView.as_view(), name="image"),
    re_path(
        rf"^image/(?P<id>{UUID})/?$",
        views.SubmissionView.as_view(),
        name="submission",
    ),
    re_path(rf"^image/(?P<id>{UUID})/faces/?$", views.FacesView.as_view(), name="submission_faces"),
    re_path(
        rf"^image/(?P<id>{UUID})/faces/(?P<face>[0-9]{{1,9}})/crop\.jpg$",
        views.CropView.as_view(),
        name="submission_crop",
    ),
    re_path(rf"^image/(?P<id>{UUID})/original/?$", views.OriginalView.as_view(), name="original"),
    re_path(
        rf"^static/processed_faces/[0-9a-f]{{2}}/[0-9a-f]{{2}}/(?P<id>{UUID})\.jpg$",
        views.ResultView.as_view(),
        name="result",
    ),
]
