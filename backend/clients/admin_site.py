"""The admin at /admin/: its door, and what every page of it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

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
"""Django's admin has no inline scripts or styles, and nothing of it comes from elsewhere."""


class FacesAdminConfig(AdminConfig):
    default_site = "backend.clients.admin_site.FacesAdminSite"


class FacesAdminSite(admin.AdminSite):
    site_header = site_title = "Faces"
    index_title = "Administration"
    # What "View site" leads to.
    site_url = "/dashboard/"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return _with_policy(super().admin_view(view, cacheable))

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """As Django's, but nobody may try passwords for long."""
        from backend.clients import keys  # models, which are not there yet when this loads

        if request.method == "POST" and (wait_s := _too_often(request)):
            text = "Too many attempts to log in. Try again later."
            return HttpResponse(text, status=429, headers={"Retry-After": str(wait_s)})
        answer: HttpResponse = super().login(request, extra_context)
        if request.method == "POST" and request.user.is_authenticated:
            keys.audit(actor(request), "log in", "admin")
        answer["Content-Security-Policy"] = _POLICY
        return answer


class AuditedAdmin(_Admin):
    """A model of the admin: whatever is done in it is noted, with who did it."""

    show_full_result_count = False
    list_per_page = 50

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.note(request, "add", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self.note(request, "change", obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self.note(request, "delete", obj)
        return super().log_deletions(request, queryset)

    def note(self, request: HttpRequest, action: str, obj: Model) -> None:
        """Write what was done to `obj` into the audit trail."""
        from backend.clients import keys

        kind = str(self.opts.verbose_name)
        keys.audit(actor(request), f"{action} {kind}", f"{kind} {obj.pk}")


class ReadOnlyAdmin(AuditedAdmin):
    """To be looked at; what may be done is done by actions."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def ask_first(
    of: _Admin,
    request: HttpRequest,
    rows: Sequence[Model],
    verb: str,
    *,
    warning: str = "This cannot be undone.",
) -> HttpResponse | None:
    """The question before an action that cannot be taken back; None once it is answered."""
    if "confirmed" in request.POST:
        return None
    context = {
        **of.admin_site.each_context(request),
        "title": f"{verb} {len(rows)} {of.opts.verbose_name_plural}?",
        "warning": warning,
        "verb": verb,
        "rows": rows,
        "action": request.POST.get("action", ""),
    }
    return TemplateResponse(request, "admin/clients/confirm.html", context)


def actor(request: HttpRequest) -> str:
    """For the audit trail: `admin NAME`."""
    return f"admin {request.user.get_username()}"


def _too_often(request: HttpRequest) -> int:
    """Seconds to wait before the next attempt; 0 if there may be one now."""
    from backend.clients.limits.throttling import LoginRate

    rate = LoginRate()
    if rate.allow_request(request, None):  # type: ignore[arg-type]  # counts any request
        return 0
    return math.ceil(rate.wait())


def _with_policy(view: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        answer = view(request, *args, **kwargs)
        answer["Content-Security-Policy"] = _POLICY
        return answer

    return update_wrapper(guarded, view)
