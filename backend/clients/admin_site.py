"""The admin at /admin/: the site with its login, and the base classes of its pages.

Not in `backend.clients.admin`, because this module loads before the models that those pages need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache

from wire.release import VERSION

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin

_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font", "connect")),
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
"""Django's admin has no inline scripts or styles, and loads nothing from elsewhere."""


class FacesAdminConfig(AdminConfig):
    default_site = "backend.clients.admin_site.FacesAdminSite"


class FacesAdminSite(admin.AdminSite):
    site_header = site_title = "Faces"
    index_title = f"Administration of version {VERSION}"
    site_url = f"{settings.FACES_BASE_PATH}/dashboard/"  # of "View site"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return _with_policy(super().admin_view(view, cacheable))

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The login of accounts, with its limits and second factor, for staff."""
        answer: HttpResponse = import_string(settings.ADMIN_LOGIN)(request)
        answer["Content-Security-Policy"] = _POLICY
        return answer

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return redirect("account_change_password")


class AuditedAdmin(_Admin):
    """A model of the admin whose additions, changes and deletions are in the audit trail."""

    show_full_result_count = False
    list_per_page = 50

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.audit(request, "add", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.audit(request, "change", obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self.audit(request, "delete", obj)
        return super().log_deletions(request, queryset)

    def audit(self, request: HttpRequest, action: str, obj: Model) -> None:
        kind = str(self.opts.verbose_name)
        audit(request, f"{action} {kind}", f"{kind} {obj.pk}")


class ReadOnlyAdmin(AuditedAdmin):
    """A list whose rows are changed by actions alone."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def ask_first(
    model_admin: _Admin,
    request: HttpRequest,
    rows: Sequence[Model],
    verb: str,
    *,
    warning: str = "This cannot be undone.",
) -> HttpResponse | None:
    """The confirmation page of an irreversible action; None once it is confirmed."""
    if "confirmed" in request.POST:
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{verb} {len(rows)} {model_admin.opts.verbose_name_plural}?",
        "warning": warning,
        "verb": verb,
        "rows": rows,
        "action": request.POST.get("action", ""),
    }
    return TemplateResponse(request, "admin/clients/confirm.html", context)


def actor(request: HttpRequest) -> str:
    """For the audit trail: `admin NAME`."""
    return f"admin {request.user.get_username()}"


def audit(request: HttpRequest, action: str, subject: str) -> None:
    """Record what staff does in the admin."""
    from backend.clients import audit

    audit.audit(actor(request), action, subject)


def _with_policy(view: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        answer = view(request, *args, **kwargs)
        answer["Content-Security-Policy"] = _POLICY
        return answer

    return update_wrapper(guarded, view)
