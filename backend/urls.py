"""Where each path goes. Every path answers with and without its trailing slash."""

from django.urls import include, path, re_path

from backend.common import health
from backend.common.metrics_page import MetricsView

urlpatterns = [
    re_path(r"^healthcheck/?$", health.healthcheck),
    re_path(r"^readiness/?$", health.readiness),
    re_path(r"^metrics/?$", MetricsView.as_view(), name="metrics"),
    path("", include("backend.clients.urls")),
    path("", include("backend.submissions.urls")),
]

handler400 = "backend.common.errors.bad_request"
handler403 = "backend.common.errors.permission_denied"
handler404 = "backend.common.errors.not_found"
handler500 = "backend.common.errors.server_error"
