from django.urls import re_path

from backend.common.http.paths import UUID
from backend.webhooks import views

_ID = rf"(?P<id>{UUID})"

urlpatterns = [
    re_path(r"^webhooks/?$", views.WebhooksView.as_view(), name="webhooks"),
    re_path(rf"^webhooks/{_ID}/?$", views.WebhookView.as_view(), name="webhook"),
    re_path(rf"^webhooks/{_ID}/ping/?$", views.PingView.as_view(), name="webhook_ping"),
]
