from django.urls import re_path

from backend.clients import views
from backend.clients.auth import feed_keys
from backend.clients.limits import upload_preflight

urlpatterns = [
    re_path(r"^client/?$", views.ClientView.as_view(), name="client"),
    # For nginx alone, which answers 404 to clients.
    re_path(r"^_feed_token$", feed_keys.feed_token, name="feed_token"),
    re_path(r"^_upload_preflight$", upload_preflight.authorize_upload, name="upload_preflight"),
]
