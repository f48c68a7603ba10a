"""Members in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from backend.clients.admin_site import ReadOnlyAdmin
from backend.photos.members import consent
from backend.photos.models import Member

if TYPE_CHECKING:
    _MemberForm = forms.ModelForm[Member]
else:
    _MemberForm = forms.ModelForm

_AT_A_TIME: Final = 200
"""Rows resubmitted or erased in one request, which must end in time."""


class MemberForm(_MemberForm):
    class Meta:
        model = Member
        fields = ["joined_on", "left_on"]
        help_texts = {
            "joined_on": "Photos of albums before this day are not theirs. Empty: no bound.",
            "left_on": "Nor of albums after this day.",
        }

    def clean(self) -> None:
        super().clean()
        joined_on, left_on = (self.cleaned_data.get(name) for name in ("joined_on", "left_on"))
        if joined_on and left_on and left_on < joined_on:
            self.add_error("left_on", "They left before they joined.")


@admin.register(Member)
class MemberAdmin(ReadOnlyAdmin):
    """Staff sets only the days between which a user was a member."""

    form = MemberForm
    list_display = [
        "user",
        "joined_on",
        "left_on",
        "opted_in_at",
        "opted_out_at",
        "references_count",
    ]
    list_filter = [
        (moment, admin.EmptyFieldListFilter) for moment in ("opted_in_at", "opted_out_at")
    ]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    ordering = ["user__username"]
    fields = ["user", "joined_on", "left_on", "opted_in_at", "opted_out_at", "references_count"]
    readonly_fields = ["user", "opted_in_at", "opted_out_at", "references_count"]
    actions = ["opt_out"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        rows: Any = super().get_queryset(request)
        return cast("QuerySet[Member]", rows.annotate(counted=Count("references")))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("photos.change_member"))

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("photos.delete_reference"))

    @admin.display(description="references", ordering="counted")
    def references_count(self, member: Member) -> int:
        return getattr(member, "counted", 0)

    @admin.action(description="Opt out: erase references and matches", permissions=["erase"])
    def opt_out(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        chosen = list(queryset[:_AT_A_TIME])
        for member in chosen:
            self.audit(request, "opt out", member)
            consent.opt_out(member)
        self.message_user(request, f"{len(chosen)} members were opted out.")
