"""The dashboard at `/dashboard/`, for operators of the service."""

from __future__ import annotations

import logging
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from rest_framework.exceptions import APIException

from backend.clients.admin_site import audit
from backend.clients.auth.authentication import ApiKeyAuthentication
from backend.clients.models import Scope
from backend.common.http.errors import read_only
from backend.common.http.security_headers import Page
from backend.common.jobs.models import Job
from backend.site.dashboard.snapshot import clear_cache, kinds, numbers

logger = logging.getLogger(__name__)

_NOT_FAILED = "It has not failed, or is being tried again already."
_NO_REDIS = "Redis is out of reach; try again when it is back."


@method_decorator(never_cache, name="dispatch")
class DashboardView(Page):
    """The page; its script requests the numbers."""

    template_name = "site/dashboard.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not is_operator(request):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(may_retry=may_retry(self.request), **kwargs)


@never_cache
@read_only
def dashboard_numbers(request: HttpRequest) -> JsonResponse:
    """For the page, and for a key with the scope `operate`."""
    if not is_operator(request) and not _has_key(request):
        return JsonResponse({"detail": "The dashboard is for staff: log in."}, status=403)
    return JsonResponse(numbers())


@never_cache
@require_POST
def dashboard_retry(request: HttpRequest) -> JsonResponse:
    """Retry a failed row, named by `kind` and `id`. Only the page may ask, by its session."""
    if not may_retry(request):
        return JsonResponse({"detail": "You may not change anything."}, status=403)
    row = _row(request.POST.get("kind", ""), request.POST.get("id", ""))
    kind = str(row._meta.model_name)
    try:
        done = import_string(settings.RETRIES[kind])(row)
    except redis.RedisError as error:
        logger.warning("retry failed: %s", error)
        return JsonResponse({"detail": _NO_REDIS}, status=503, headers={"Retry-After": "5"})
    clear_cache()
    if not done:
        return JsonResponse({"detail": _NOT_FAILED}, status=409)
    audit(request, f"retry {kind}", f"{kind} {row.pk}")
    return JsonResponse({"retried": str(row.pk)})


def is_operator(request: HttpRequest) -> bool:
    """Whether the request is from a user who may log in to the admin."""
    return bool(request.user.is_active and getattr(request.user, "is_staff", False))


def may_retry(request: HttpRequest) -> bool:
    """As in the admin: staff who may change submissions."""
    return is_operator(request) and bool(request.user.has_perm("submissions.change_submission"))


def _has_key(request: HttpRequest) -> bool:
    try:
        # Reads headers only, which Django's request has as well.
        _, client = ApiKeyAuthentication().authenticate(request)  # type: ignore[arg-type]
    except APIException:
        return False
    return client.may(Scope.OPERATE)


def _row(kind: str, id: str) -> Job:
    model = kinds().get(kind)
    if model is None:
        raise Http404
    try:
        return get_object_or_404(model, pk=id)
    except (ValueError, ValidationError):
        raise Http404 from None
