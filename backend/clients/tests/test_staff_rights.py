"""Staff that may change users gains no rights by it, and no account of other staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.test import Client, TestCase

_PASSWORD = "correct horse battery"
_NEW = {"password1": "staple of a horse", "password2": "staple of a horse"}


class StaffRightsTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.zoe = User.objects.create_superuser("zoe", password=_PASSWORD)
        self.clara = User.objects.create_user("clara", password=_PASSWORD, is_staff=True)
        self.alice = User.objects.create_user("alice", password=_PASSWORD)
        self.group = Group.objects.create(name="helpers")
        self.clerk = User.objects.create_user("clerk", password=_PASSWORD, is_staff=True)
        # All of Django's own, of users and of groups.
        self.clerk.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
        self.client = Client()
        self.client.force_login(self.clerk)

    def change(self, user: User, **sent: Any) -> int:
        form = {
            "username": user.username,
            "date_joined_0": "2026-01-02",
            "date_joined_1": "03:04:05",
            "is_active": "on",
            **sent,
        }
        return int(self.client.post(f"/admin/auth/user/{user.pk}/change/", form).status_code)

    def rights(self) -> list[tuple[Any, ...]]:
        users = User.objects.order_by("pk").values_list("username", "is_staff", "is_superuser")
        return [(*user, User.objects.get(username=user[0]).groups.count()) for user in users]

    def test_it_changes_members_and_its_own_name(self) -> None:
        self.assertEqual(self.change(self.alice, first_name="Al"), 302)
        self.assertEqual(self.change(self.clerk, first_name="Cl"), 302)
        names = User.objects.exclude(first_name="").order_by("first_name")
        self.assertEqual([user.first_name for user in names], ["Al", "Cl"])
        password = f"/admin/auth/user/{self.alice.pk}/password/"
        self.assertEqual(self.client.post(password, _NEW).status_code, 302)

    def test_it_gives_no_rights_to_itself_or_others(self) -> None:
        before = self.rights()
        wanted = {"is_staff": "on", "is_superuser": "on", "groups": [self.group.pk]}
        for user in (self.clerk, self.alice):
            wanted["user_permissions"] = [Permission.objects.earliest("pk").pk]
            self.assertEqual(self.change(user, **wanted), 302)
        self.assertEqual(self.rights(), before)
        self.assertFalse(self.alice.user_permissions.exists())

    def test_it_gets_no_account_of_other_staff(self) -> None:
        for user in (self.zoe, self.clara):
            self.assertEqual(self.change(user, first_name="Mine", email="clerk@x.example"), 403)
            password = f"/admin/auth/user/{user.pk}/password/"
            self.assertEqual(self.client.post(password, _NEW).status_code, 403)
            delete = f"/admin/auth/user/{user.pk}/delete/"
            self.assertEqual(self.client.post(delete, {"post": "yes"}).status_code, 403)
            user.refresh_from_db()
            self.assertEqual((user.first_name, user.email), ("", ""))
            self.assertTrue(user.check_password(_PASSWORD))

    def test_not_by_the_action_on_many_either(self) -> None:
        form = {
            "action": "delete_selected",
            "_selected_action": [self.zoe.pk, self.clara.pk],
            "post": "yes",
        }
        self.client.post("/admin/auth/user/", form)
        self.assertEqual(User.objects.count(), 4)

    def test_groups_are_for_superusers(self) -> None:
        path = f"/admin/auth/group/{self.group.pk}/change/"
        form = {"name": "mine", "permissions": [Permission.objects.earliest("pk").pk]}
        self.assertEqual(self.client.post(path, form).status_code, 403)
        self.assertEqual(self.client.post("/admin/auth/group/add/", form).status_code, 403)
        self.client.force_login(self.zoe)
        self.assertEqual(self.client.post(path, form).status_code, 302)
