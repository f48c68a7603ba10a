from django.urls import re_path

from backend.face_encodings import views

urlpatterns = [
    re_path(
        r"^generate_face_encoding/?$", views.GenerateView.as_view(), name="generate_face_encoding"
    ),
    # Any text: one that is no hash is answered as an unknown hash.
    re_path(
        r"^face_encoding/(?P<sha256>[^/]+)/?$", views.EncodingView.as_view(), name="face_encoding"
    ),
    re_path(r"^face_encodings/batch/?$", views.BatchView.as_view(), name="face_encodings_batch"),
    re_path(r"^stats/?$", views.StatisticsView.as_view(), name="stats"),
    re_path(r"^verify/?$", views.VerifyView.as_view(), name="verify"),
]
