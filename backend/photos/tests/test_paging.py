"""How many there are in all: the same on every page, by whichever statement it was counted."""

from typing import Any

from django.http import QueryDict
from django.test import TestCase

from backend.photos import pagination
from backend.photos.matching import member_photos
from backend.photos.models import ManualTag, Photo
from backend.photos.pagination import NEWEST_PHOTOS, Page
from backend.photos.tests import face_factories, factories


class CountTests(TestCase):
    def setUp(self) -> None:
        self.alice, album = factories.member("alice"), factories.album()
        for number in range(5):
            face_factories.photo(
                album, *(face_factories.encoding(1, 10 * number + each) for each in range(3))
            )
        for number in range(2):
            face_factories.reference(self.alice, face_factories.encoding(1, 90 + number))
        face_factories.match_all()

    def page(self, query: str, *, who: Any = None) -> Page[Photo]:
        photos = member_photos.photos_of(who or self.alice)
        return pagination.page(photos, QueryDict(query), order=NEWEST_PHOTOS, count_with=True)

    def test_pages_by_cursor_and_by_offset_and_behind_the_end_tell_the_same_count(self) -> None:
        ManualTag.objects.create(member=self.alice, photo=Photo.objects.order_by("pk")[0])
        first = self.page("limit=2")
        second = self.page(first.next)
        pages = [first, second, self.page(second.next), self.page(second.previous)]
        pages += [self.page("offset=3"), self.page("offset=5"), self.page("offset=900")]
        self.assertEqual([page.count for page in pages], [5] * 7)
        self.assertEqual([len(page.rows) for page in pages], [2, 2, 1, 2, 2, 0, 0])

    def test_it_is_counted_by_the_statement_that_reads_the_first_page(self) -> None:
        photos = member_photos.photos_of(self.alice)
        with self.assertNumQueries(1):
            page = pagination.page(photos, QueryDict(), order=NEWEST_PHOTOS, count_with=True)
        self.assertEqual(page.count, 5)

    def test_a_member_on_no_photo_gets_an_empty_page(self) -> None:
        page = self.page("", who=factories.member("bob"))
        self.assertEqual((page.count, page.rows, page.next, page.previous), (0, [], "", ""))

    def test_what_a_page_shows_of_its_photos_needs_no_query_for_each(self) -> None:
        photos = self.page("").rows
        with self.assertNumQueries(0):
            for photo in photos:
                shown = (photo.key, photo.name, photo.width, photo.height, photo.hidden)
                about = (photo.taken_at, photo.album_id, photo.album.title, photo.album.date)
                self.assertTrue(all(each is not None for each in (*shown, *about)))
