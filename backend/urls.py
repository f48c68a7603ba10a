"""Where each path goes. Every path answers with and without its trailing slash."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from backend.common import health
from backend.common.metrics.exposition import MetricsView

urlpatterns = [
    re_path(r"^healthcheck/?$", health.HealthcheckView.as_view(), name="healthcheck"),
    re_path(r"^readiness/?$", health.ReadinessView.as_view(), name="readiness"),
    re_path(r"^admin$", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    re_path(r"^metrics/?$", MetricsView.as_view(), name="metrics"),
    path("", include("backend.clients.urls")),
    path("", include("backend.accounts.urls")),
    path("", include("backend.webhooks.urls")),
    path("", include("backend.submissions.urls")),
    path("", include("backend.face_encodings.urls")),
    path("", include("backend.recognition.urls")),
    path("", include("backend.photos.urls")),
    path("", include("backend.site.urls")),
]

handler400 = "backend.common.http.errors.bad_request"
handler403 = "backend.common.http.errors.permission_denied"
handler404 = "backend.common.http.errors.not_found"
handler500 = "backend.common.http.errors.server_error"
