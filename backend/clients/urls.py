from django.urls import re_path

from backend.clients import views
from backend.clients.limits import upload_preflight

urlpatterns = [
    re_path(r"^client/?$", views.ClientView.as_view(), name="client"),
    # For nginx alone, which answers 404 to whoever else asks for it.
    re_path(r"^_may_send$", upload_preflight.may_send, name="may_send"),
]
