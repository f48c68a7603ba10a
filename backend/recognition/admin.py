"""Galleries and operations in the admin, read-only: only operations change galleries."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from backend.clients.admin_site import ReadOnlyAdmin
from backend.recognition.models import Contact, Face, Feedback, Operation, Reembedding, User


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("user_id", "owner", "exists", "contacts_count", "gallery_version", "created_at")
    list_filter = ("exists", "owner")
    list_select_related = ("owner",)
    search_fields = ("=user_id", "owner__name")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(contacts_count=Count("contacts"))

    @admin.display(description="contacts")
    def contacts_count(self, user: Any) -> int:
        return int(user.contacts_count)


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("contact_id", "name", "user", "faces_count", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("user",)
    search_fields = ("=contact_id", "=user__user_id", "name")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        contacts: QuerySet[Contact] = super().get_queryset(request)
        return contacts.annotate(faces_count=Count("faces"))

    @admin.display(description="faces")
    def faces_count(self, contact: Any) -> int:
        return int(contact.faces_count)


@admin.register(Face)
class FaceAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "face_id",
        "contact",
        "user",
        "score",
        "is_face",
        "is_indexed",
        "created_at",
    )
    list_filter = ("is_face", "is_indexed", "model")
    list_select_related = ("contact", "user")
    search_fields = ("=id", "=face_id", "=external_id", "=contact__contact_id", "=user__user_id")
    exclude = ("encoding",)
    ordering = ("-id",)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "user", "sequence", "status", "attempts", "created_at", "reason")
    list_filter = ("status", "kind", "owner")
    list_select_related = ("user",)
    search_fields = ("=id", "=user__user_id", "=contact_id")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "is_right", "named", "is_truth_known", "truth")
    list_filter = ("is_right", "is_truth_known", "created_at")
    list_select_related = ("user", "named", "truth")
    search_fields = ("=user__user_id",)
    ordering = ("-id",)


@admin.register(Reembedding)
class ReembeddingAdmin(ReadOnlyAdmin):
    list_display = ("user", "model", "created_at", "switched_at")
    list_filter = (("switched_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("=user__user_id",)
    ordering = ("-id",)
