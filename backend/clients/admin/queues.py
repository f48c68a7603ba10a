"""rq's queues within the admin: django-rq's pages with the admin's login, policy and audit trail.

Their actions are harmless, because a job only names a row: a job that is queued again finds a row
that is due, or does nothing; a deleted one is enqueued again by the sweep; a stopped one is lost
like that of a worker that died.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import redis
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from django_rq.urls import get_admin_urlpatterns, get_api_urlpatterns
from rq.exceptions import NoSuchJobError

from backend.clients.admin_site import audit

if TYPE_CHECKING:
    _Queues = admin.ModelAdmin[Any]
else:
    _Queues = QueueAdmin

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponse]

_PERMISSION = "django_rq.admin"


@admin.register(Dashboard)
class QueuesAdmin(_Queues):
    """For superusers, and for staff with the permission `django_rq | admin`."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(_PERMISSION))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(_PERMISSION))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        answer: HttpResponse = self._guarded(super().changelist_view)(request, extra_context)
        return answer

    def get_urls(self) -> list[URLPattern]:
        """django-rq's pages and its API, all with the same checks."""
        prefix = "django_rq_"
        pages: list[URLPattern] = get_admin_urlpatterns(prefix, self._protected)
        for page in get_api_urlpatterns(prefix):
            page.callback = self._protected(page.callback)
            pages.append(page)
        return pages + admin.ModelAdmin.get_urls(self)

    def _protected(self, view: View) -> View:
        return self.admin_site.admin_view(self._guarded(view))

    def _guarded(self, view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perm(_PERMISSION):
                raise PermissionDenied
            request.current_app = self.admin_site.name
            try:
                answer = view(request, *args, **kwargs)
            except (Http404, PermissionDenied):
                raise
            except (NoSuchJobError, IndexError) as error:
                raise Http404 from error
            except redis.RedisError as error:
                logger.warning("the queues cannot be shown: %s", error)
                return self._unavailable(request, "Redis is out of reach")
            except Exception:  # Redis is input: what rq cannot read fails in any way
                logger.exception("the queues cannot be shown")
                return self._unavailable(request, "An entry of the queue cannot be read")
            if request.method == "POST" and answer.status_code < 400:
                audit(request, "change queue", request.path)
            return answer

        return guarded

    def _unavailable(self, request: HttpRequest, title: str) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": title}
        return TemplateResponse(request, "admin/clients/queues_away.html", context, status=503)
