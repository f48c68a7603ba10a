"""The detector that an upload of photos or a reference names."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command
from django.urls import reverse

from backend.analysis import detectors
from backend.common.jobs.models import Status
from backend.photos.extraction.aws_lambda import submission
from backend.photos.models import ArchiveUpload, Photo, PhotoFace, Reference
from backend.photos.tests import factories
from backend.photos.tests.test_api import API, REFERENCES, ApiCase, jpeg
from tests.support import samples


class DetectorTests(ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.album = factories.album()
        self.photos = f"{API}/albums/{self.album.pk}/photos/"

    def test_photos_of_an_album(self) -> None:
        form = {"file": jpeg(samples.face()), "detector": "cnn"}
        self.assertEqual(self.zoe.post(self.photos, form).status_code, 201)
        photo = factories.processed(Photo.objects.get())
        self.assertEqual(photo.extractor.partition("/")[0], "cnn")

    def test_the_query_names_it_too(self) -> None:
        self.zoe.post(f"{self.photos}?detector=cnn", {"file": jpeg()})
        self.assertEqual(Photo.objects.get().detector, "cnn")

    def test_without_a_name_it_is_the_services(self) -> None:
        self.zoe.post(self.photos, {"file": jpeg(samples.face())})
        photo = factories.processed(Photo.objects.get())
        self.assertEqual(photo.extractor.partition("/")[0], detectors.default_detector())

    def test_photos_of_an_archive(self) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("a.jpg", samples.no_face())
        form = {"file": jpeg(archive.getvalue(), "a.zip"), "detector": "cnn"}
        self.assertEqual(
            self.zoe.post(f"{API}/albums/{self.album.pk}/archives/", form).status_code, 202
        )
        factories.processed(ArchiveUpload.objects.get())
        self.assertEqual(Photo.objects.get().detector, "cnn")

    def test_a_reference(self) -> None:
        form = {"file": jpeg(samples.face()), "detector": "cnn"}
        self.assertEqual(self.client.post(REFERENCES, form).status_code, 201)
        reference = factories.processed(Reference.objects.get())
        self.assertEqual(reference.extractor.partition("/")[0], "cnn")

    def test_the_forms_of_the_pages_name_it(self) -> None:
        upload = reverse("album-upload-page", args=[self.album.pk])
        pages = (self.client, reverse("reference-upload-page")), (self.zoe, upload)
        for client, page in pages:
            self.assertContains(client.get(page), '<option value="cnn">cnn</option>', html=True)
        form: dict[str, Any] = {"file": jpeg(samples.face()), "detector": "cnn", "agree": "on"}
        for client, page in pages:
            form["file"].seek(0)
            self.assertEqual(client.post(page, form).status_code, 302)
        for row in (Photo.objects.get(), Reference.objects.get()):
            self.assertEqual(row.detector, "cnn")

    def test_a_form_with_an_unknown_name_is_shown_again_with_the_list(self) -> None:
        upload = reverse("album-upload-page", args=[self.album.pk])
        form: dict[str, Any] = {"file": jpeg(samples.face()), "detector": "<dog>", "agree": "on"}
        names = ", ".join(detectors.available_detectors())
        for client, page in ((self.client, reverse("reference-upload-page")), (self.zoe, upload)):
            form["file"].seek(0)
            answer = client.post(page, form)
            self.assertIn(
                f"“&lt;dog&gt;” is no detector of this service. It has: {names}.",
                answer.content.decode(),
            )
        self.assertFalse(Photo.objects.exists() or Reference.objects.exists())

    def test_an_import_from_the_disk_names_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "a.zip")
            archive.write_bytes(factories.zipped({"a.jpg": samples.no_face()}))
            arguments = ["import_album", str(archive), "--no-wait"]
            call_command(*arguments, "--detector=cnn", stdout=io.StringIO())
            with self.assertRaisesRegex(CommandError, "invalid choice"):
                call_command(*arguments, "--detector=dog", stdout=io.StringIO())
        factories.processed(ArchiveUpload.objects.get())
        self.assertEqual(Photo.objects.get().detector, "cnn")

    def test_an_unknown_name_is_answered_with_the_list(self) -> None:
        answers: list[Any] = [
            self.zoe.post(self.photos, {"file": jpeg(), "detector": "dog"}),
            self.zoe.post(f"{API}/albums/{self.album.pk}/archives/?detector=dog", {"file": jpeg()}),
            self.client.post(REFERENCES, {"file": jpeg(), "detector": "dog"}),
        ]
        for answer in answers:
            self.assertEqual(answer.status_code, 400)
            (message,) = answer.json()["detector"]
            self.assertIn(", ".join(detectors.available_detectors()), message)
        self.assertFalse(Photo.objects.exists() or Reference.objects.exists())

    def test_lambda_is_told_the_name(self) -> None:
        self.zoe.post(f"{self.photos}?detector=cnn", {"file": jpeg()})
        photo = Photo.objects.get()
        self.assertEqual(submission._shape(photo, "t")["detector"], "cnn")
        photo.detector = ""
        self.assertNotIn("detector", submission._shape(photo, "t"))

    def test_a_turned_face_of_a_photo_says_so(self) -> None:
        self.zoe.post(self.photos, {"file": jpeg(samples.face())})
        photo = factories.processed(Photo.objects.get())
        self.assertEqual(photo.status, Status.DONE)
        path = f"{API}/photos/{photo.pk}/"
        self.assertNotIn("rotation", self.client.get(path).json()["faces"][0])
        PhotoFace.objects.update(rotation=270)
        self.assertEqual(self.client.get(path).json()["faces"][0]["rotation"], 270)
