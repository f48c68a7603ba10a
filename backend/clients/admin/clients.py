"""Users, clients, keys and the audit trail in the admin."""

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
"""Validity of a rotated key, as with `create_api_key --rotate`."""

_MAX_ROTATED: Final = 5
"""Keys rotated at once: messages show them, and they share one cookie of 4 kB."""

# UnusedKey is the library's own kind of key, which the service does not accept.
admin.site.unregister([UnusedKey, User, Group])


_RIGHTS: Final = ("is_staff", "is_superuser", "groups", "user_permissions")


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _may_change(request: HttpRequest, user: Any) -> bool:
    """The list of users, for any; a user of staff, for superusers and that user."""
    if user is None or _is_superuser(request) or user.pk == request.user.pk:
        return True
    return not (user.is_staff or user.is_superuser)


@admin.register(User)
class AuditedUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Staff and members. `manage.py createsuperuser` makes the first.

    Staff that may change users changes members alone, and gives no rights: with an account of other
    staff, or a right that it lacks, it would have more than it was given.
    """

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if _is_superuser(request) else (*fields, *_RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_change(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_change(request, obj)


@admin.register(Group)
class AuditedGroupAdmin(AuditedAdmin, GroupAdmin):
    """Groups give rights, so superusers alone change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


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
        """False: only `erase_client` erases a client's data from every store."""
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
        # As text, because SQLite has no `contains` for JSON lists.
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
        Client.objects.exclude(pk=ANONYMOUS_ID),
        help_text="The owner of the images that the key gives access to.",
    )

    class Meta:
        model = ApiKey
        fields = ["client", "name", "scopes", "expiry_date"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are created, rotated and revoked, never changed. No page's URL contains a row's id,
    because that contains the hash of the key.
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
        """None: the list shows everything, so a key has no page."""

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
        """`create_key` records it; Django's own entry would contain the id."""

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
            self.message_user(request, f"{key.prefix} of {key.client} is revoked.")
        return None

    @admin.action(description="Rotate (the old key expires in a day)", permissions=["revoke"])
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        chosen = list(keys.filter(revoked=False).select_related("client")[: _MAX_ROTATED + 1])
        if len(chosen) > _MAX_ROTATED:
            refusal = f"At most {_MAX_ROTATED} keys at a time, because each new one is shown."
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
