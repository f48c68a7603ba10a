from django.urls import include, path

urlpatterns = [
    path("", include("backend.photos.callback_urls")),
    path("", include("backend.photos.picture_urls")),
    path("", include("backend.photos.api_urls")),
    path("", include("backend.photos.page_urls")),
]
