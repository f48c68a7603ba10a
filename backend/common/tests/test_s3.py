"""Media in a bucket: names, privacy, what is missing, what cannot be reached."""

import io
import os
import pickle
from datetime import timedelta
from typing import ClassVar
from unittest import mock

from django.apps import apps
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import FileField
from django.test import SimpleTestCase, TestCase, override_settings
from django.utils import timezone

from backend.common.storage import base, orphans
from backend.common.storage.base import StorageError
from backend.common.storage.s3 import PrivateBucket
from backend.common.tests.bucket import NAME, SETTINGS, BucketServer
from backend.submissions.models import Submission
from tests.support import samples

ON_DISK = storages.backends
ON_S3 = {**ON_DISK, "default": {"BACKEND": "backend.common.storage.s3.PrivateBucket"}}


class BucketCase(SimpleTestCase):
    server: ClassVar[BucketServer]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = cls.enterClassContext(BucketServer())

    def setUp(self) -> None:
        self.enterContext(override_settings(**self.server.settings, STORAGES=ON_S3))
        for name in self.server.names():
            self.server.client.delete_object(Bucket=NAME, Key=name)
        self.storage = PrivateBucket()

    def save(self, name: str, content: bytes = b"bytes") -> str:
        return str(self.storage.save(name, ContentFile(content)))


class BucketTests(BucketCase):
    def test_what_is_saved_is_read_again_under_its_name_below_the_prefix(self) -> None:
        name = self.save("originals/72/46/a.jpg", b"abc" * 4_000_000)
        self.assertEqual(name, "originals/72/46/a.jpg")
        self.assertEqual(self.server.names(), [f"media/{name}"])
        self.assertEqual(self.storage.size(name), 12_000_000)
        with self.storage.open(name) as file:
            self.assertEqual(file.read(3), b"abc")
            file.seek(-1, io.SEEK_END)
            self.assertEqual(file.read(), b"c")

    def test_a_file_that_was_closed_is_opened_again_as_on_disk(self) -> None:
        submission = Submission(image=self.save("a.jpg", b"abc"))
        for _ in range(2):
            with submission.image.open("rb") as file:
                self.assertEqual(file.read(), b"abc")
        self.assertEqual(submission.image.open().read(), b"abc")
        self.assertEqual(submission.image.open().read(), b"abc")

    def test_a_name_is_never_used_twice(self) -> None:
        first, second = self.save("a.jpg", b"1"), self.save("a.jpg", b"2")
        self.assertNotEqual(first, second)
        self.assertEqual(self.storage.open(first).read(), b"1")

    def test_what_is_missing_is_missing_as_on_disk(self) -> None:
        self.assertFalse(self.storage.exists("none.jpg"))
        self.storage.delete("none.jpg")
        for ask in (self.storage.open, self.storage.size, self.storage.get_modified_time):
            with self.subTest(ask.__name__), self.assertRaises(FileNotFoundError):
                ask("none.jpg")

    def test_a_file_is_what_we_call_it_and_not_what_its_sender_called_it(self) -> None:
        upload = SimpleUploadedFile("x.jpg", b"<script>", content_type="text/html")
        name = self.storage.save("x.jpg", upload)
        head = self.server.client.head_object(Bucket=NAME, Key=f"media/{name}")
        self.assertEqual(head["ContentType"], "image/jpeg")

    def test_an_object_belongs_to_its_owner_alone(self) -> None:
        name = self.save("a.jpg")
        acl = self.server.client.get_object_acl(Bucket=NAME, Key=f"media/{name}")
        self.assertEqual({grant["Grantee"]["Type"] for grant in acl["Grants"]}, {"CanonicalUser"})

    def test_its_address_is_ours_and_only_nginx_gets_one_of_the_buckets(self) -> None:
        self.assertEqual(self.storage.url("processed_faces/a.jpg"), "/static/processed_faces/a.jpg")
        signed = self.storage.signed_url("a.jpg", {"Content-Type": "image/jpeg"})
        self.assertTrue(signed.startswith(f"{self.server.url}/{NAME}/media/a.jpg?"), signed)
        self.assertIn("X-Amz-Expires=60", signed)
        self.assertIn("response-content-type=image%2Fjpeg", signed)

    def test_no_name_leads_out_of_the_prefix(self) -> None:
        for name in ("../secret", "a/../../secret"):
            with self.subTest(name), self.assertRaises(Exception) as caught:
                self.storage.delete(name)
            self.assertIn("Suspicious", type(caught.exception).__name__)

    def test_a_large_file_is_one_request_that_leaves_no_parts_behind(self) -> None:
        sent: list[str] = []
        self.storage.connection.meta.client.meta.events.register(
            "before-call.s3", lambda model, **rest: sent.append(model.name)
        )
        self.save("large.jpg", bytes(20 << 20))
        self.assertEqual(sent, ["HeadObject", "PutObject"])

    def test_old_files_are_found_by_one_listing_below_the_folder(self) -> None:
        names = {self.save(f"originals/{i:02x}/{i:02x}/{i}.jpg") for i in range(20)}
        self.save("processed_faces/00/00/x.jpg")
        self.save("originals-of-others/x.jpg")
        self.assertEqual(list(orphans.older_than_a_day(default_storage, ["originals"])), [])
        later = timezone.now() + timedelta(days=2)
        with mock.patch("backend.common.storage.orphans.timezone.now", return_value=later):
            found = set(orphans.older_than_a_day(default_storage, ["originals", "nothing"]))
        self.assertEqual(found, names)

    def test_a_listing_goes_on_past_its_first_page(self) -> None:
        names = {self.save(f"waiting/{i}") for i in range(7)}
        client = self.storage.connection.meta.client
        whole = client.list_objects_v2
        with mock.patch.object(
            client, "list_objects_v2", lambda **asked: whole(**asked, MaxKeys=3)
        ):
            self.assertEqual({name for name, _ in self.storage.walk("waiting")}, names)

    def test_threads_share_a_connection_and_a_fork_makes_its_own(self) -> None:
        ours = self.storage.connection
        self.assertIs(self.storage.connection, ours)
        with mock.patch("os.getpid", return_value=os.getpid() + 1):
            self.assertIsNot(self.storage.connection, ours)

    def test_it_survives_pickling_as_storages_do(self) -> None:
        name = self.save("a.jpg")
        self.assertTrue(pickle.loads(pickle.dumps(self.storage)).exists(name))


class OutOfReachTests(BucketCase):
    """Nothing listens at the address: real refusals, no patience."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(override_settings(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9"))
        # The pauses between attempts are botocore's.
        self.enterContext(mock.patch("botocore.endpoint.time.sleep"))
        self.storage = PrivateBucket()

    def test_each_question_says_that_it_may_be_asked_again(self) -> None:
        asked = {
            "open": lambda: self.storage.open("a"),
            "save": lambda: self.save("a"),
            "delete": lambda: self.storage.delete("a"),
            "exists": lambda: self.storage.exists("a"),
            "walk": lambda: list(self.storage.walk("a")),
            "check": self.storage.check,
        }
        for name, ask in asked.items():
            with self.subTest(name), self.assertRaises(StorageError):
                ask()

    def test_a_bucket_that_is_not_there_is_no_missing_file(self) -> None:
        changes = {"AWS_ENDPOINT_URL_S3": self.server.url, "FACES_S3_BUCKET": "not-ours"}
        with override_settings(**changes):
            bucket = PrivateBucket()
        for ask in (bucket.check, lambda: bucket.save("a.jpg", ContentFile(b"x"))):
            with self.assertRaises(StorageError):
                ask()


class AnswersTests(TestCase):
    """What a client is told where the bucket is out of reach."""

    def setUp(self) -> None:
        options = {**SETTINGS, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
        self.enterContext(override_settings(**options, STORAGES=ON_S3))
        self.enterContext(mock.patch("botocore.endpoint.time.sleep"))

    def test_an_upload_is_to_be_tried_again_and_leaves_no_row(self) -> None:
        image = SimpleUploadedFile("a.jpg", samples.no_face())
        with self.assertLogs("backend.common.http.errors", "ERROR"):
            answer = self.client.post("/image/", {"image": image})
        self.assertEqual((answer.status_code, list(answer.json())), (503, ["detail"]))
        self.assertIn("Retry-After", answer.headers)
        self.assertFalse(Submission.objects.exists())

    def test_readiness_names_the_storage(self) -> None:
        answer = self.client.get("/readiness/")
        self.assertEqual((answer.status_code, answer.json()["storage"]), (503, "missing"))


class WhereFilesAreTests(SimpleTestCase):
    def test_every_file_of_every_model_is_where_the_settings_say(self) -> None:
        fields = [
            field
            for model in apps.get_models()
            for field in model._meta.get_fields()
            if isinstance(field, FileField)
        ]
        self.assertGreaterEqual(len(fields), 3)
        elsewhere = [str(field) for field in fields if field.storage is not default_storage]
        self.assertEqual(elsewhere, [])

    def test_without_a_bucket_it_is_a_folder(self) -> None:
        self.assertIsNone(base.bucket())
        self.assertTrue(base.check())


class CheckTests(SimpleTestCase):
    def ids(self, **changes: str) -> set[str]:
        with override_settings(**changes):
            return {each.id for each in run_checks() if each.id}

    def test_half_a_configuration_is_refused(self) -> None:
        for found, changes in (
            ("faces.E006", {**SETTINGS, "AWS_DEFAULT_REGION": ""}),
            ("faces.E007", {**SETTINGS, "AWS_SECRET_ACCESS_KEY": ""}),
            ("faces.E009", {**SETTINGS, "AWS_ENDPOINT_URL_S3": "minio:9000"}),
        ):
            with self.subTest(found):
                self.assertEqual(self.ids(**changes) & S3_CHECKS, {found})

    def test_a_whole_one_and_none_are_fine_and_a_role_needs_no_key(self) -> None:
        role = {**SETTINGS, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        for changes in (SETTINGS, {}, role):
            self.assertEqual(self.ids(**changes) & S3_CHECKS, set())

    def test_an_image_without_the_libraries_of_aws_is_refused(self) -> None:
        with mock.patch("backend.common.checks.find_spec", return_value=None):
            self.assertIn("faces.E013", self.ids(**SETTINGS))
            self.assertIn("faces.E013", self.ids(FACEDETECTION_LAMBDA_ARN="arn:aws:lambda:x"))
            self.assertNotIn("faces.E013", self.ids())


S3_CHECKS = {f"faces.E{number:03}" for number in range(5, 10)}
