"""The admin's pages of galleries."""

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from backend.recognition.models import Kind, Operation
from backend.recognition.tests import factories

PAGES = ("user", "contact", "face", "operation")


class AdminTests(TestCase):
    def setUp(self) -> None:
        admin = get_user_model().objects.create_superuser("ada", password="x")
        self.client.force_login(admin)

    def fill(self, number: int) -> None:
        user = factories.user(number)
        factories.add(user, 1, [factories.person()])
        Operation.objects.create(owner_id=user.owner_id, user=user, sequence=1, kind=Kind.ADD)

    def test_lists_take_no_query_a_row_and_load_no_encodings(self) -> None:
        counts: dict[str, list[int]] = {page: [] for page in PAGES}
        for number in (1, 2, 3):
            self.fill(number)
            for page in PAGES:
                with CaptureQueriesContext(
                    connection,
                ) as queries:
                    answer = self.client.get(f"/admin/recognition/{page}/")
                self.assertEqual(answer.status_code, 200)
                counts[page].append(len(queries))
                asked = " ".join(query["sql"] for query in queries)
                self.assertNotIn('"encoding"', asked)
        for page, each in counts.items():
            self.assertEqual(each[1], each[2], page)

    def test_lists_can_be_searched_by_any_text(self) -> None:
        self.fill(17)
        for page in PAGES:
            for text in ("17", "no number", str(Operation.objects.get().pk), "9" * 40):
                with self.subTest(page=page, text=text):
                    answer = self.client.get(f"/admin/recognition/{page}/", {"q": text})
                    self.assertEqual(answer.status_code, 200)
        found = self.client.get("/admin/recognition/user/", {"q": "17"})
        self.assertContains(found, "1 gallery")

    def test_the_admin_is_read_only(self) -> None:
        self.fill(1)
        pk = Operation.objects.get().pk
        self.assertEqual(
            self.client.get(f"/admin/recognition/operation/{pk}/change/").status_code, 200
        )
        answer = self.client.post(f"/admin/recognition/operation/{pk}/delete/", {"post": "yes"})
        self.assertEqual(answer.status_code, 403)
