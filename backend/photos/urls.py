from django.urls import include, path

urlpatterns = [
    path("", include("backend.photos.media.urls")),
    path("", include("backend.photos.rest.urls")),
    path("", include("backend.photos.web.urls")),
]
