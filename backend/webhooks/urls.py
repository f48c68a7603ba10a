from django.urls import re_path

from backend.webhooks import views

_ID = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

urlpatterns = [
    re_path(r"^webhooks/?$", views.WebhooksView.as_view(), name="webhooks"),
    re_path(rf"^webhooks/{_ID}/?$", views.WebhookView.as_view(), name="webhook"),
    re_path(rf"^webhooks/{_ID}/ping/?$", views.PingView.as_view(), name="webhook_ping"),
]
