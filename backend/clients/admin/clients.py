"""Clients, keys and the audit trail, for whoever runs the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from rest_framework_api_key.models import APIKey as UnusedKey

from backend.clients import keys as services
from backend.clients.admin_site import AuditedAdmin, ReadOnlyAdmin, actor, ask_first
from backend.clients.models import ANONYMOUS_ID, ApiKey, AuditEntry, Client, Scope

if TYPE_CHECKING:
    _Form = forms.ModelForm[ApiKey]
else:
    _Form = forms.ModelForm

_OVERLAP: Final = timedelta(hours=24)
"""How long a rotated key goes on, as `create_api_key --rotate` has it."""

_AT_A_TIME: Final = 5
"""Keys rotated at once: each is shown in a message, and a browser keeps few of them."""

# The library's own kind of key, which opens nothing here.
admin.site.unregister(UnusedKey)
admin.site.unregister([User, Group])


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Who may log in here. Made first by `manage.py createsuperuser`."""


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    pass


@admin.register(Client)
class ClientAdmin(AuditedAdmin):
    list_display = ["name", "keys_in_use", "stored", "quota", "created_at", "erasing_since"]
    search_fields = ["name"]
    fields = ["name", "quota_bytes", "stored_bytes", "created_at", "erasing_since"]
    readonly_fields = ["stored_bytes", "created_at", "erasing_since"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        usable = Q(keys__revoked=False) & (
            Q(keys__expiry_date=None) | Q(keys__expiry_date__gt=timezone.now())
        )
        clients: Any = super().get_queryset(request)
        counted: Any = clients.annotate(usable_keys=Count("keys", filter=usable))
        return cast("QuerySet[Client]", counted)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: first everything of a client is erased, from every store (`erase_client`)."""
        return False

    @admin.display(description="keys in use", ordering="usable_keys")
    def keys_in_use(self, client: Client) -> str:
        address = reverse("admin:clients_apikey_changelist")
        count: int = getattr(client, "usable_keys", 0)
        return format_html('<a href="{}?client__id__exact={}">{}</a>', address, client.pk, count)

    @admin.display(ordering="stored_bytes")
    def stored(self, client: Client) -> str:
        return filesizeformat(client.stored_bytes)

    @admin.display(ordering="quota_bytes", empty_value="no bound")
    def quota(self, client: Client) -> str | None:
        return None if client.quota_bytes is None else filesizeformat(client.quota_bytes)


class ScopeFilter(admin.SimpleListFilter):
    title = parameter_name = "scope"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(scope, scope) for scope in Scope.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in Scope.values:
            return queryset
        # As text: SQLite cannot ask whether a JSON list contains something.
        as_text = queryset.annotate(scopes_text=Cast("scopes", TextField()))
        found: QuerySet[Any] = as_text.filter(scopes_text__contains=f'"{self.value()}"')
        return found


class ExpiryFilter(admin.SimpleListFilter):
    title = parameter_name = "expiry"

    _CONDITIONS: Final[dict[str, Callable[[], Q]]] = {
        "never": lambda: Q(expiry_date=None),
        "later": lambda: Q(expiry_date__gt=timezone.now()),
        "expired": lambda: Q(expiry_date__lte=timezone.now()),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in self._CONDITIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        condition = self._CONDITIONS.get(self.value() or "")
        return queryset.filter(condition()) if condition else queryset


class ApiKeyForm(_Form):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.UPLOAD, Scope.READ, Scope.RECOGNISE],
    )
    client = forms.ModelChoiceField(
        Client.objects.exclude(pk=ANONYMOUS_ID), help_text="Whose images the key opens."
    )

    class Meta:
        model = ApiKey
        fields = ["client", "name", "scopes", "expiry_date"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made, rotated and revoked, never changed. Their rows' ids hold the hash of the key,
    so no page has one in its address.
    """

    form = ApiKeyForm
    list_display = ["prefix", "name", "client", "may", "created", "expiry_date", "revoked"]
    list_display_links = None
    list_filter = [
        ("client", admin.RelatedOnlyFieldListFilter),
        ScopeFilter,
        ExpiryFilter,
        "revoked",
    ]
    list_select_related = ["client"]
    search_fields = ["prefix", "name", "client__name"]
    actions = ["revoke", "rotate"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("clients.add_apikey"))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> None:
        """No page for one key: all there is to see is in the list."""
        return None

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("clients.change_apikey"))

    @admin.display(description="scopes")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        made, text = services.create_key(
            obj.client,
            name=obj.name,
            scopes=form.cleaned_data["scopes"],
            expires_at=obj.expiry_date,
            actor=actor(request),
        )
        obj.pk = made.pk
        self._show(request, made, text)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Noted when it was made; Django's own note would hold the id."""

    def response_add(
        self, request: HttpRequest, obj: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:clients_apikey_changelist"))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        chosen = list(keys.select_related("client"))
        if (question := ask_first(self, request, chosen, "Revoke")) is not None:
            return question
        for key in chosen:
            services.revoke_key(key, actor=actor(request))
            self.message_user(request, f"{key.prefix} of {key.client} opens nothing any more.")
        return None

    @admin.action(
        description="Rotate: a new key, the old one ends in a day", permissions=["revoke"]
    )
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        chosen = list(keys.filter(revoked=False).select_related("client")[: _AT_A_TIME + 1])
        if len(chosen) > _AT_A_TIME:
            refusal = f"At most {_AT_A_TIME} keys at a time, for each new one is shown."
            self.message_user(request, refusal, messages.ERROR)
            return
        for old in chosen:
            made, text = services.rotate_key(old, overlap=_OVERLAP, actor=actor(request))
            self._show(request, made, text)

    def _show(self, request: HttpRequest, key: ApiKey, text: str) -> None:
        shown = f"The key of {key.client}, shown only this once: {text}"
        self.message_user(request, shown, messages.WARNING)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", "action", "subject"]
    list_filter = ["action"]
    search_fields = ["actor", "subject"]
    date_hierarchy = "at"
