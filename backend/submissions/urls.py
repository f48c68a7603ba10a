from django.urls import re_path

from backend.submissions import views

urlpatterns = [
    re_path(r"^image/?$", views.ImageView.as_view(), name="image"),
    re_path(
        r"^image/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/?$",
        views.SubmissionView.as_view(),
        name="submission",
    ),
]
