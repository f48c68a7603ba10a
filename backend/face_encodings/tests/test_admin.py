"""Encoded images in the admin: found, and erased after a question."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import TestCase
from django.utils import timezone

from backend.clients.models import ANONYMOUS_ID, AuditEntry, Client
from backend.face_encodings.models import EncodedImage

_PAGE = "/admin/face_encodings/encodedimage/"


class EncodedImageTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(User.objects.create_superuser("olga"))
        self.image = EncodedImage.objects.create(owner_id=ANONYMOUS_ID, sha256=f"{'ab':0<64}")

    def act(self, *images: EncodedImage, **more: str) -> Any:
        data = {"action": "erase", "_selected_action": [each.pk for each in images], **more}
        return self.client.post(_PAGE, data, follow=True)

    def found(self, query: str) -> list[EncodedImage]:
        return list(self.client.get(f"{_PAGE}?{query}").context["cl"].queryset)

    def test_it_is_found_by_the_beginning_of_its_hash_its_owner_and_its_day(self) -> None:
        bob = Client.objects.create(name="bob")
        other = EncodedImage.objects.create(owner=bob, sha256=f"{'cd':0<64}")
        self.assertEqual(self.found("q=abb"), [])
        self.assertEqual(self.found("q=ab"), [self.image])
        self.assertEqual(self.found("completed_at__isempty=1"), [other, self.image])
        self.assertEqual(self.found(f"owner__id__exact={bob.pk}"), [other])
        tomorrow = timezone.now() + timedelta(days=1)
        self.assertEqual(self.found(f"created_at__gte={tomorrow:%Y-%m-%d}"), [])

    def test_erasing_asks_first_and_is_noted(self) -> None:
        page = self.act(self.image)
        self.assertContains(page, "Erase 1 encoded images?")
        self.assertContains(page, "cannot be undone")
        self.assertTrue(EncodedImage.objects.exists())
        self.assertContains(self.act(self.image, confirmed="yes"), "1 erased")
        self.assertFalse(EncodedImage.objects.exists())
        entry = AuditEntry.objects.get(action="erase encoded image")
        self.assertEqual(
            (entry.actor, entry.subject), ("admin olga", f"encoded image {self.image.pk}")
        )

    def test_nothing_of_it_can_be_changed_by_hand(self) -> None:
        for path in (f"{self.image.pk}/change/", f"{self.image.pk}/delete/", "add/"):
            self.assertEqual(self.client.post(_PAGE + path, {"sha256": "x"}).status_code, 403, path)
