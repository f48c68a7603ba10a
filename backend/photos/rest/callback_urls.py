from django.urls import re_path

from backend.photos.rest import lambda_callback as views

# More digits than a key of a table can have would not even be looked for.
SOURCE = r"(?P<type>photo|reference)/(?P<pk>[0-9]{1,18})"

urlpatterns = [
    re_path(
        rf"^api/facedetection/encodings/{SOURCE}/?$",
        views.EncodingsView.as_view(),
        name="encodings",
    ),
    re_path(rf"^api/facedetection/sources/{SOURCE}/?$", views.SourceView.as_view(), name="source"),
]
