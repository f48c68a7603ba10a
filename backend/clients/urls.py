from django.urls import re_path

from backend.clients import views

urlpatterns = [re_path(r"^client/?$", views.ClientView.as_view(), name="client")]
