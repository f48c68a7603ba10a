"""Submissions in the admin: search, retry, erase."""

from __future__ import annotations

import re
import uuid
from typing import Final
from urllib.parse import urlsplit

import redis
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from backend.clients.admin_site import ReadOnlyAdmin
from backend.clients.auth import signed_urls
from backend.submissions import services
from backend.submissions.models import Submission

_AT_A_TIME: Final = 200
"""Retried or erased in one request, which must end in time."""

_COLUMNS: Final = ("created_at", "owner", "status", "faces_count", "attempts", "reason", "seconds")


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = [*_COLUMNS, "thumbnail"]
    list_filter = ["status", "created_at", "owner"]
    list_select_related = ["owner"]
    search_fields = ["sha256__startswith"]
    search_help_text = "The beginning of an id, or of the SHA-256 of an image."
    fields = [
        "id",
        *_COLUMNS,
        "processed_at",
        "size_bytes",
        "sha256",
        "due_at",
        "claimed_by",
        "claimed_until",
        "event_id",
        "picture",
    ]
    actions = ["retry", "erase"]

    def get_search_results(
        self, request: HttpRequest, submissions: QuerySet[Submission], text: str
    ) -> tuple[QuerySet[Submission], bool]:
        found, has_duplicates = super().get_search_results(request, submissions, text)
        digits = text.strip().replace("-", "").lower()
        if re.fullmatch(r"[0-9a-f]{1,32}", digits):
            # A range and not a text: each database writes ids in its own way.
            first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
            found |= submissions.filter(id__range=(first, last))
        return found, has_duplicates

    def has_act_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("submissions.change_submission"))

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("submissions.delete_submission"))

    @admin.display(description="seconds")
    def seconds(self, submission: Submission) -> str | None:
        if submission.processed_at is None:
            return None
        return f"{(submission.processed_at - submission.created_at).total_seconds():.1f}"

    @admin.display(description="result")
    def thumbnail(self, submission: Submission) -> str | None:
        return _picture(submission, height=48)

    @admin.display(description="result")
    def picture(self, submission: Submission) -> str | None:
        return _picture(submission, height=480)

    @admin.action(description="Try failed ones again", permissions=["act"])
    def retry(self, request: HttpRequest, submissions: QuerySet[Submission]) -> None:
        done = 0
        try:
            for submission in submissions[:_AT_A_TIME]:
                if services.retry(submission):
                    self.audit(request, "retry", submission)
                    done += 1
        except redis.RedisError:
            self._tell_of_redis(request)
        self.message_user(request, f"{done} will be tried again.")

    @admin.action(description="Erase", permissions=["erase"])
    def erase(self, request: HttpRequest, submissions: QuerySet[Submission]) -> HttpResponse | None:
        chosen = list(submissions.select_related("owner")[:_AT_A_TIME])
        if "confirmed" not in request.POST:
            context = {**self.admin_site.each_context(request), "submissions": chosen}
            context["title"] = "Erase these images?"
            return TemplateResponse(request, "admin/submissions/erase.html", context)
        done = 0
        try:
            for submission in chosen:
                self.audit(request, "erase", submission)
                services.erase(submission)
                done += 1
        except redis.RedisError:
            self._tell_of_redis(request)
        self.message_user(request, f"{done} erased.")
        return None

    def _tell_of_redis(self, request: HttpRequest) -> None:
        error = "Redis is out of reach; try again when it is back."
        self.message_user(request, error, messages.ERROR)


def _picture(submission: Submission, *, height: int) -> str | None:
    """The result by a signed link, small; it is loaded when it is scrolled to."""
    if not submission.result:
        return None
    # Without the host: the admin may be looked at by another name than clients use.
    address = (
        urlsplit(signed_urls.signed(submission.result.url))._replace(scheme="", netloc="").geturl()
    )
    return format_html(
        '<a href="{0}"><img src="{0}" height="{1}" alt="faces" loading="lazy"></a>', address, height
    )
