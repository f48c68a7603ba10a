"""Webhooks in the admin: how their deliveries go, try again, delete."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from backend.clients.admin_site import ReadOnlyAdmin, actor, ask_first
from backend.webhooks import services
from backend.webhooks.models import Webhook


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    list_display = ("id", "owner", "host", "events", "user_id", "status", "last_sent_at", "reason")
    list_filter = ("status", "owner")
    list_select_related = ("owner",)
    # A URL may hold a token, and is the client's.
    exclude = ("url",)
    search_fields = ("owner__name", "reason")
    ordering = ("-registered_at",)
    actions = ("retry", "remove")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.change_webhook"))

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("webhooks.delete_webhook"))

    @admin.display
    def host(self, webhook: Webhook) -> str:
        return services.host(webhook)

    @admin.action(description="Try failed ones again", permissions=["retry"])
    def retry(self, request: HttpRequest, webhooks: QuerySet[Webhook]) -> None:
        done = [webhook for webhook in webhooks if services.retry(webhook)]
        for webhook in done:
            self.audit(request, "retry", webhook)
        self.message_user(request, f"{len(done)} will be tried again.")

    @admin.action(description="Delete", permissions=["remove"])
    def remove(self, request: HttpRequest, webhooks: QuerySet[Webhook]) -> HttpResponse | None:
        chosen = list(webhooks)
        if page := ask_first(self, request, chosen, "Delete"):
            return page
        for webhook in chosen:
            services.delete(webhook, actor=actor(request))
        self.message_user(request, f"{len(chosen)} deleted.")
        return None
