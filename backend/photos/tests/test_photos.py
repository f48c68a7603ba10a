"""Albums and photos: taken in, prepared, shown, liked, erased."""

import io
import zipfile
from datetime import UTC, date, datetime

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase
from PIL import ExifTags, Image

from backend.analysis.models import Analysis
from backend.common.work import Status
from backend.photos import services, tasks
from backend.photos.models import WIDTHS_PX, Album, Extraction, Photo, PhotoFace
from backend.photos.tests import cast
from tests import pictures, samples


class AlbumTests(TestCase):
    def setUp(self) -> None:
        self.album = cast.album()

    def test_a_photo_is_taken_in_prepared_and_shown_with_its_faces(self) -> None:
        photo = cast.photo(self.album, samples.face())
        self.assertEqual((photo.extraction, photo.width), (Extraction.PROCESSING, 0))
        self.assertFalse(Photo.objects.visible().exists())
        tasks.process_photo(str(photo.pk))
        photo.refresh_from_db()
        self.assertEqual((photo.extraction, photo.faces_count), (Extraction.DONE, 1))
        self.assertEqual(list(Photo.objects.visible()), [photo])
        face = PhotoFace.objects.with_encodings().get(photo=photo)
        self.assertEqual(face.encoding.shape, (128,))
        self.assertLess(face.left or 0, face.right or 0)
