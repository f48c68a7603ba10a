"""Albums and photos: taken in, prepared, shown, liked, erased."""

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase, override_settings
from PIL import ExifTags, Image

from backend.analysis.models import Analysis
from backend.common.jobs.models import Status
from backend.common.storage import orphans
from backend.photos import tasks
from backend.photos.albums import service
from backend.photos.files import renditions, storage
from backend.photos.models import WIDTHS_PX, Album, Extraction, Like, Photo, PhotoFace
from backend.photos.tests import factories
from tests.support import image_factories as drawn
from tests.support import samples

without_faces = override_settings(FACES_PHOTOS_EXTRACTION="off")


def stored(name: str | None) -> Image.Image:
    with default_storage.open(name or "") as file:
        return Image.open(io.BytesIO(file.read()))


class TakingInTests(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()

    def test_a_photo_is_taken_in_prepared_and_shown_with_its_faces(self) -> None:
        photo = factories.photo(self.album, samples.face())
        self.assertEqual((photo.extraction, photo.width), (Extraction.PROCESSING, 0))
        factories.processed(photo)
        self.assertEqual((photo.extraction, photo.faces_count), (Extraction.DONE, 1))
        self.assertEqual(list(Photo.objects.visible()), [photo])
        face = PhotoFace.objects.with_encodings().get(photo=photo)
        self.assertEqual(face.encoding.shape, (128,))
        self.assertTrue(0 <= (face.left or 0) < (face.right or 0) <= photo.width)
        self.assertIn("too_poor", face.quality or {})

    def test_the_analysis_goes_and_only_the_photos_copy_of_its_faces_stays(self) -> None:
        photo = factories.processed(factories.photo(self.album, samples.face()))
        self.assertFalse(Analysis.objects.filter(sha256=photo.sha256).exists())

    @without_faces
    def test_an_album_is_hidden_until_all_its_photos_have_their_pictures(self) -> None:
        first, second = (factories.photo(self.album, factories.jpeg(text)) for text in "ab")
        factories.processed(first)
        self.assertFalse(Album.objects.visible().exists())
        self.assertFalse(Photo.objects.visible().exists())
        factories.processed(second)
        self.assertEqual(list(Album.objects.visible()), [self.album])
        self.assertEqual(set(Photo.objects.visible()), {first, second})

    @without_faces
    def test_a_photo_that_fails_does_not_hide_the_others_for_ever(self) -> None:
        broken, good = (factories.photo(self.album, factories.jpeg(text)) for text in "ab")
        default_storage.delete(broken.original.name or "")
        factories.processed(broken)
        factories.processed(good)
        self.assertEqual((broken.extraction, broken.status), (Extraction.FAILED, Status.FAILED))
        self.assertEqual(broken.failure_reason, "The uploaded file is gone.")
        self.assertEqual(list(Photo.objects.visible()), [good])

    @without_faces
    def test_the_sweep_shows_an_album_whose_worker_died_before_it_could(self) -> None:
        with patch.object(service, "complete_album_of"):
            factories.processed(factories.photo(self.album, factories.jpeg("a")))
        self.assertFalse(Album.objects.visible().exists())
        service.complete_all()
        self.assertTrue(Album.objects.visible().exists())

    def test_files_that_are_no_new_photos_are_reported_with_the_reason(self) -> None:
        files = {
            "a.jpg": factories.jpeg("a"),
            "again.jpg": factories.jpeg("a"),
            "text.jpg": b"no picture",
            "notes.txt": b"no picture",
            "bomb.png": drawn.bomb(),
        }
        uploads = [ContentFile(content, name) for name, content in files.items()]
        report = service.add_photos(self.album, uploads)
        self.assertEqual([photo.name for photo in report.added], ["a.jpg"])
        reasons = dict(report.skipped)
        self.assertEqual(reasons["again.jpg"], service.DUPLICATE)
        self.assertEqual(reasons["text.jpg"], storage.NOT_AN_IMAGE)
        self.assertEqual(reasons["notes.txt"], storage.WRONG_EXTENSION)
        self.assertIn("pixels", reasons["bomb.png"])

    def test_the_same_bytes_may_be_in_two_albums(self) -> None:
        for album in (self.album, factories.album("Winter")):
            factories.photo(album, factories.jpeg("a"))
        self.assertEqual(Photo.objects.count(), 2)

    def test_two_at_once_with_the_same_bytes_make_one_photo_and_leave_no_file(self) -> None:
        content = ContentFile(factories.jpeg("a"), "a.jpg")
        late = service.stored(self.album, content, name="a.jpg")
        factories.photo(self.album, factories.jpeg("a"))
        with self.assertRaisesMessage(storage.UploadRejected, service.DUPLICATE):
            service.insert(late)
        storage.discard(late)
        self.assertFalse(default_storage.exists(late.original.name or ""))

    def test_nothing_is_taken_into_an_album_that_was_deleted_meanwhile(self) -> None:
        photo = service.stored(self.album, ContentFile(factories.jpeg("a")), name="a.jpg")
        service.erase_album(self.album)
        with self.assertRaisesMessage(storage.UploadRejected, service.NO_ALBUM):
            service.insert(photo)

    def test_albums_come_newest_first(self) -> None:
        older = factories.album("Spring", day=date(2026, 3, 1))
        newer = factories.album("Autumn", day=date(2026, 10, 1))
        self.assertEqual(list(Album.objects.all()), [newer, self.album, older])


@without_faces
class PictureTests(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()

    def test_renditions_are_upright_and_without_metadata(self) -> None:
        original = factories.located()
        self.assertIn(b"Exif", original)
        photo = factories.processed(factories.photo(self.album, original))
        names = [photo.file.name, *map(photo.thumbnail_name, WIDTHS_PX)]
        for name in names:
            with self.subTest(name), default_storage.open(name) as file:
                content = file.read()
                self.assertNotIn(b"Exif", content)
                picture = Image.open(io.BytesIO(content))
                self.assertEqual((picture.format, dict(picture.getexif())), ("JPEG", {}))
                self.assertEqual(picture.size, (60, 40))
        self.assertEqual((photo.width, photo.height), (60, 40))
        self.assertEqual(photo.taken_at, datetime(2026, 7, 1, 12, 30, tzinfo=UTC))

    def test_the_original_with_its_metadata_is_not_kept(self) -> None:
        photo = factories.photo(self.album, factories.located())
        original = photo.original.name or ""
        self.assertTrue(default_storage.exists(original))
        factories.processed(photo)
        self.assertEqual(photo.original.name, "")
        self.assertFalse(default_storage.exists(original))

    @override_settings(FACES_KEEP_ORIGINALS=True)
    def test_where_originals_are_kept_staff_gets_them_until_the_photo_is_erased(self) -> None:
        photo = factories.processed(factories.photo(self.album, factories.located()))
        original = photo.original.name or ""
        self.assertTrue(default_storage.exists(original))
        for who, status in ((factories.staff(), 200), (factories.user("alice"), 403)):
            self.client.force_login(who)
            answer = self.client.get(f"/members/photos/{photo.pk}/original/")
            self.assertEqual(answer.status_code, status)
        self.client.force_login(factories.staff())
        sent = self.client.get(f"/members/photos/{photo.pk}/original/")["X-Accel-Redirect"]
        self.assertEqual(sent, f"/_media/{original}")
        service.erase_photo(photo)
        self.assertFalse(default_storage.exists(original))

    @override_settings(FACES_KEEP_ORIGINALS=True)
    def test_the_original_of_a_reference_is_never_kept(self) -> None:
        reference = factories.reference(factories.member(), factories.located())
        original = reference.original.name or ""
        factories.processed(reference)
        self.assertFalse(default_storage.exists(original))

    def test_heic_goes_in_and_jpeg_comes_out(self) -> None:
        image = drawn.encoded(drawn.faceless(96, 64), "HEIC")
        photo = factories.processed(factories.photo(self.album, image, "IMG_0001.HEIC"))
        picture = stored(photo.file.name)
        self.assertEqual((picture.format, picture.size), ("JPEG", (96, 64)))

    def test_thumbnails_are_as_wide_as_pages_need_them_and_no_wider_than_the_photo(self) -> None:
        image = drawn.encoded(drawn.faceless(1000, 700))
        photo = factories.processed(factories.photo(self.album, image))
        sizes = {width: stored(photo.thumbnail_name(width)).size for width in WIDTHS_PX}
        self.assertEqual(sizes, {300: (300, 210), 600: (600, 420), 1200: (1000, 700)})

    def test_a_photo_too_long_for_a_jpeg_is_shown_smaller(self) -> None:
        image = drawn.encoded(Image.new("RGB", (66_000, 20)), "PNG")
        photo = factories.processed(factories.photo(self.album, image, "long.png"))
        self.assertEqual((photo.status, photo.width, photo.height), (Status.DONE, 66_000, 20))
        self.assertEqual(stored(photo.file.name).size, (65_500, 19))

    def test_photos_of_every_format_come_in_the_order_in_which_they_were_taken(self) -> None:
        formats = ("HEIC", "JPEG", "PNG", "TIFF", "WEBP", "AVIF")
        for minute, name in enumerate(reversed(formats)):
            exif = Image.Exif()
            tags = exif.get_ifd(ExifTags.IFD.Exif)
            tags[ExifTags.Base.DateTimeOriginal] = f"2024:07:01 {12 - minute:02}:00:00"
            tags[ExifTags.Base.OffsetTimeOriginal] = f"{-minute:+03}:00"
            image = drawn.encoded(drawn.labelled(name, 96, 64), name, exif=exif.tobytes())
            factories.processed(factories.photo(self.album, image, f"{name}.{name.lower()}"))
        # Each clock is an hour earlier, and an hour further west.
        self.assertEqual(
            {photo.taken_at for photo in self.album.photos.all()},
            {datetime(2024, 7, 1, 12, tzinfo=UTC)},
        )

    def test_a_broken_or_odd_time_is_no_time(self) -> None:
        odd = (b"", b"\xff\xd8\xff\xe1\x00\x10Exif\0\0garbage", factories.jpeg("a"))
        for content in odd:
            with self.subTest(content[:12]):
                self.assertIsNone(renditions.taken_at(io.BytesIO(content)))


@without_faces
class ErasingTests(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()
        self.photo = factories.photo(self.album, factories.jpeg("a"))

    def mine(self) -> list[str]:
        """The files of the photo, wherever they are."""
        folders = Path(default_storage.path("")).rglob(f"*{self.photo.key}*")
        return [path.name for path in folders]

    def test_a_photo_goes_with_all_its_files(self) -> None:
        factories.processed(self.photo)
        self.assertEqual(len(self.mine()), 1 + len(WIDTHS_PX))
        service.erase_photo(self.photo)
        self.assertEqual((self.mine(), Photo.objects.count()), ([], 0))

    def test_a_photo_goes_out_of_a_workers_hands_and_leaves_nothing(self) -> None:
        for step in ("make", "taken_at"):
            with self.subTest(step):
                self.photo = factories.photo(self.album, factories.jpeg(step))
                real = getattr(renditions, step)

                def erased(*args: Any, real: Any = real, **named: Any) -> Any:
                    service.erase_photo(self.photo)
                    return real(*args, **named)

                with patch.object(renditions, step, erased):
                    tasks.process_photo(str(self.photo.pk))
                self.assertEqual(self.mine(), [])
                self.assertFalse(Photo.objects.filter(pk=self.photo.pk).exists())

    def test_an_album_goes_with_its_photos_likes_and_archives(self) -> None:
        factories.processed(self.photo)
        service.like(self.photo, factories.user())
        upload = factories.archive(self.album, factories.zipped({"b.jpg": factories.jpeg("b")}))
        service.erase_album(self.album)
        self.assertEqual((self.mine(), Photo.objects.count(), Like.objects.count()), ([], 0, 0))
        self.assertFalse(default_storage.exists(upload.file.name or ""))

    def test_files_that_a_crash_left_are_found_a_day_later_and_no_others(self) -> None:
        factories.processed(self.photo)
        left = default_storage.save("photos/aa/bb/left.jpg", ContentFile(b"x"))
        self.addCleanup(default_storage.delete, left)
        self.assertNotIn(left, list(storage.orphaned_files()))
        with patch.object(orphans, "_AGE", -orphans._AGE):
            stray = list(storage.orphaned_files())
        self.assertIn(left, stray)
        self.assertFalse([name for name in stray if str(self.photo.key) in name])

    def test_a_like_counts_once_however_often_and_goes_as_often(self) -> None:
        for _ in range(2):
            service.like(self.photo, factories.user())
            service.like(self.photo, factories.user("bob"))
        self.assertEqual(self.photo.likes.count(), 2)
        for _ in range(2):
            service.unlike(self.photo, factories.user())
        self.assertEqual(self.photo.likes.count(), 1)
