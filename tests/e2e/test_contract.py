"""CONTRACT.md, section 1, to the letter, through nginx as a client meets it."""

import io
import re
from datetime import datetime
from typing import Any, ClassVar

from PIL import Image

from tests.support import hostile_files, image_factories, raw_http, samples
from tests.support.listener import Listener
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase
from wire.release import VERSION

EVENT_KEYS = ["message", "created_at", "processed_at", "faces_count", "image_url"]
EXTENSIONS = "gif, jpg, jpeg, png, webp, bmp, tif, tiff, heic, heif, avif"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TOLERANCE_PX = 12


def same_box(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two boxes are about the same: lossy formats move them by a few pixels."""
    return all(abs(one[side] - other[side]) <= _TOLERANCE_PX for side in one)


class ContractCase(StackCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "wsservers": 2}
    shares = "contract"

    def picture_at(self, url: str) -> Image.Image:
        """The image at one of the service's own absolute addresses."""
        self.assertTrue(url.startswith(self.stack.url), url)
        response = self.stack.request("GET", url)
        self.assertEqual(response.status_code, 200, response.text[:300])
        self.assertEqual(response.headers["Content-Type"], "image/jpeg")
        image = Image.open(io.BytesIO(response.content))
        self.assertEqual(image.format, "JPEG")
        image.load()
        return image

    def done(self, image: bytes, name: str = "image.jpg") -> dict[str, Any]:
        """The status resource of an image, once it is done."""
        id = self.stack.upload(image, name)
        resource = self.stack.wait_ended([id])[id]
        self.assertEqual(resource["status"], "done", resource)
        return resource


class UploadTests(ContractCase):
    def test_an_upload_is_accepted_at_both_paths(self) -> None:
        for path in ("/image/", "/image"):
            with self.subTest(path):
                response = self.stack.post_image(samples.no_face(), path=path)
                self.assertEqual(response.status_code, 202)
                body = response.json()
                message = "Request accepted. Starting image processing."
                self.assertEqual(list(body)[:2], ["message", "feed_url"])
                self.assertEqual(body["message"], message)
                self.assertRegex(body["feed_url"], r"^ws://127\.0\.0\.1:\d+/faces")
                self.assertRegex(body["id"], rf"^{UUID}$")
                self.assertEqual(body["status_url"], f"{self.stack.url}/image/{body['id']}/")

    def test_no_file_is_refused_at_both_paths(self) -> None:
        for path in ("/image/", "/image"):
            with self.subTest(path):
                response = self.stack.request("POST", path, files={"other": ("a.jpg", b"x")})
                self.assertEqual(response.status_code, 400)
                self.assertEqual(response.json(), {"image": ["No file was submitted."]})

    def test_a_file_that_is_no_image_is_refused(self) -> None:
        response = self.stack.post_image(b"not an image", "a.png")
        sentence = "Upload a valid image. The file you uploaded was either not an image or "
        self.assertEqual(response.status_code, 400)
        self.assertEqual(response.json(), {"image": [sentence + "a corrupted image."]})

    def test_an_extension_that_is_not_allowed_is_named(self) -> None:
        response = self.stack.post_image(samples.no_face(), "a.txt")
        sentence = f"File extension “txt” is not allowed. Allowed extensions are: {EXTENSIONS}."
        self.assertEqual((response.status_code, response.json()), (400, {"image": [sentence]}))

    def test_the_content_decides_where_the_name_names_no_other_format(self) -> None:
        names = ("a.jfif", "a.jpe", "a.pjpeg", "a.jpg ", ".jpg", "blob", "image", "a.", "a.png")
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.stack.post_image(samples.no_face(), name).status_code, 202)
                self.assertEqual(self.stack.post_image(b"no image", name).status_code, 400)

    def test_over_100_mb_is_too_large_and_100_mb_is_not(self) -> None:
        for length, statuses in ((100 * 1024 * 1024 + 100_000, {413}), (100 * 1024 * 1024, {100})):
            with self.subTest(length=length):
                head = raw_http.head(
                    "POST",
                    "/image/",
                    content_type=raw_http.MULTIPART,
                    content_length=str(length),
                    expect="100-continue",
                )
                answer = raw_http.send(self.stack.nginx_port, [head], half=True)
                self.assertIn(answer.status, statuses)

    def test_the_feed_url_of_the_answer_leads_to_the_websocket(self) -> None:
        first = self.stack.post_image(samples.no_face()).json()
        self.assertTrue(first["feed_url"].startswith(f"ws://127.0.0.1:{self.stack.nginx_port}/"))


class HealthTests(ContractCase):
    def test_the_healthcheck_says_ok(self) -> None:
        for path in ("/healthcheck", "/healthcheck/"):
            with self.subTest(path):
                response = self.stack.get(path)
                self.assertEqual((response.status_code, response.text), (200, "OK"))
                self.assertTrue(response.headers["Content-Type"].startswith("text/plain"))

    def test_readiness_names_redis_when_it_is_missing(self) -> None:
        self.addCleanup(self.stack.wait_ready)
        self.addCleanup(self.stack.redis.start)
        self.stack.redis.stop()
        response = self.stack.get("/readiness/")
        self.assertEqual(response.status_code, 503)
        body = response.json()
        self.assertEqual((body["ready"], body["redis"], body["database"]), (False, "missing", "ok"))
        self.assertEqual(self.stack.get("/healthcheck").text, "OK")

    def test_readiness_names_the_workers_when_they_are_missing(self) -> None:
        self.addCleanup(self.stack.wait_ready)
        self.addCleanup(self.stack.pool.start)
        self.stack.pool.stop()
        # One that could not take its leave counts until it has been silent for a while.
        wait_until(lambda: self.stack.get("/readiness").status_code == 503, "it is noticed")
        body = self.stack.get("/readiness").json()
        self.assertEqual((body["worker"], body["redis"], body["database"]), ("missing", "ok", "ok"))

    def test_readiness_says_that_nothing_is_missing(self) -> None:
        response = self.stack.get("/readiness")
        parts = ("database", "redis", "worker", "storage")
        expected = {"ready": True, **dict.fromkeys(parts, "ok"), "detector": samples.DETECTOR}
        expected["version"] = VERSION
        self.assertEqual((response.status_code, response.json()), (200, expected))


class EventTests(ContractCase):
    def test_an_image_with_a_face_is_published_in_the_contracts_frame(self) -> None:
        listener = self.listen("")
        id = self.stack.upload(samples.face())
        (frame,) = listener.wait_for([id])
        self.assertEqual(list(frame)[:5], EVENT_KEYS)
        self.assertEqual(frame["message"], "Successful face detection")
        self.assertEqual(frame["faces_count"], 1)
        created, processed = (datetime.fromisoformat(frame[key]) for key in EVENT_KEYS[1:3])
        self.assertIsNotNone(created.utcoffset())
        self.assertIsNotNone(processed.utcoffset())
        self.assertLess(created, processed)
        path = rf"/static/processed_faces/{id[:2]}/{id[2:4]}/{id}\.jpg$"
        self.assertRegex(frame["image_url"], "^" + re.escape(self.stack.url) + path)
        self.picture_at(frame["image_url"])
        self.assertEqual((frame["submission_id"], frame["outcome"]), (id, "faces"))
        self.assertEqual(list(frame["faces"][0]["box"]), ["top", "right", "bottom", "left"])

    def test_without_options_only_images_with_faces_are_published(self) -> None:
        plain, everything = self.listen(""), self.listen()
        none = self.stack.upload(samples.another(samples.no_face(), 1))
        some = self.stack.upload(samples.another(samples.face(), 1))
        plain.wait_for([some])
        everything.wait_for([none, some])
        self.assertEqual(plain.ids(), [some])
        by_id = {frame["submission_id"]: frame for frame in everything.frames}
        self.assertEqual(by_id[none]["outcome"], "no_faces")
        self.assertEqual((by_id[none]["faces_count"], by_id[none]["image_url"]), (0, None))

    def test_two_servers_side_by_side_both_tell_everybody(self) -> None:
        listeners = [
            self.enterContext(self.listener_at(port)) for port in self.stack.ws_ports for _ in "ab"
        ]
        ids = [self.stack.upload(samples.another(samples.face(), n)) for n in range(10, 13)]
        self.assert_each_ended_once(ids, *listeners)
        texts = [[text for text in each.texts if ids[0] in text] for each in listeners]
        self.assertEqual(texts, [texts[0]] * 4)

    def test_a_listener_asks_for_one_submission_and_for_missed_events(self) -> None:
        first = self.done(samples.another(samples.face(), 20))["id"]
        second = self.done(samples.another(samples.face(), 21))["id"]
        wait_until(lambda: second in str(self.stack.events()), "both are published")
        (event_id,) = [
            each["event_id"] for each in self.stack.events() if each["submission_id"] == first
        ]
        self.listen(f"submission={first}").wait_for([first])
        missed = self.listen(f"since={event_id}")
        missed.wait_for([second])
        self.assertNotIn(first, missed.ids())

    def test_an_upload_can_be_followed_through_all_logs(self) -> None:
        response = self.stack.post_image(samples.another(samples.face(), 30))
        id, request_id = response.json()["id"], response.headers["X-Request-ID"]
        self.stack.wait_ended([id])
        nginx = self.stack.nginx
        assert nginx is not None
        wait_until(lambda: id in self.stack.wsservers[0].output(), "the server has logged it")
        # After the event was added to the stream, which the server reads at once.
        wait_until(
            lambda: f"event submission={id}" in self.stack.pool.output(), "the worker has logged it"
        )
        wait_until(lambda: request_id in nginx.output(), "nginx has logged it")
        (accepted,) = [line for line in self.stack.web.output().splitlines() if id in line]
        self.assertIn(request_id, accepted)
        worker = [line for line in self.stack.pool.output().splitlines() if id in line]
        for word in ("processing", "done", "event"):
            self.assertTrue(any(word in line for line in worker), (word, worker))

    def listener_at(self, port: int) -> Listener:
        return Listener(f"ws://127.0.0.1:{port}/faces?outcomes=all")


class PictureTests(ContractCase):
    def test_boxes_are_drawn_where_the_faces_are(self) -> None:
        original = image_factories.side_by_side(width=300)
        resource = self.done(image_factories.encoded(original, "PNG"), "two.png")
        drawn = self.picture_at(resource["image_url"]).convert("RGB")
        self.assertEqual(drawn.size, original.size)
        self.assertEqual(resource["faces_count"], 2)
        for face in resource["faces"]:
            self.assert_framed(drawn, original, face["box"])

    def test_each_orientation_gives_the_same_upright_box(self) -> None:
        upright = image_factories.portrait(width=320)
        expected = self.done(image_factories.encoded(upright))["faces"][0]["box"]
        for orientation in image_factories.ORIENTATIONS:
            with self.subTest(orientation=orientation):
                resource = self.done(image_factories.oriented(upright, orientation))
                self.assertTrue(same_box(resource["faces"][0]["box"], expected))
                picture = self.picture_at(resource["image_url"])
                self.assertEqual(picture.size, upright.size)
                self.assertEqual(dict(picture.getexif()), {})

    def test_each_format_is_taken(self) -> None:
        upright = image_factories.portrait(width=320)
        expected = self.done(image_factories.encoded(upright))["faces"][0]["box"]
        for format in image_factories.FORMATS:
            with self.subTest(format):
                data = image_factories.encoded(upright, format)
                resource = self.done(data, f"a.{hostile_files.extension(format)}")
                self.assertEqual(resource["faces_count"], 1)
                self.assertTrue(same_box(resource["faces"][0]["box"], expected))
                self.picture_at(resource["image_url"])

    def test_the_first_frame_of_a_moving_image_counts(self) -> None:
        face, none = image_factories.portrait(width=300), image_factories.faceless(300, 400)
        none = none.resize(face.size)
        for format in ("GIF", "WEBP", "PNG"):
            with self.subTest(format):
                moving = image_factories.animated([face, none], format)
                self.assertEqual(self.done(moving, f"a.{format.lower()}")["faces_count"], 1)
                moving = image_factories.animated([none, face], format)
                self.assertEqual(self.done(moving, f"a.{format.lower()}")["faces_count"], 0)

    def test_the_same_bytes_again_are_not_analysed_again(self) -> None:
        image = samples.another(samples.phone_photo(), 40)
        first, second = self.done(image), self.done(image, "another-name.jpeg")
        self.assertNotEqual(first["id"], second["id"])
        self.assertEqual(first["faces"], second["faces"])
        rows = self.stack.submissions()
        analysis = rows[first["id"]]["analysis_id"]
        self.assertEqual(analysis, rows[second["id"]]["analysis_id"])
        self.assertEqual(self.stack.pool.output().count(f"computed analysis={analysis} "), 1)

    def assert_framed(self, drawn: Image.Image, original: Image.Image, box: dict[str, int]) -> None:
        """Outside each side of the box the pixels have changed; in its middle they have not."""
        middle = ((box["left"] + box["right"]) // 2, (box["top"] + box["bottom"]) // 2)
        for place in (
            (box["left"] - 2, middle[1]),
            (box["right"] + 1, middle[1]),
            (middle[0], box["top"] - 2),
            (middle[0], box["bottom"] + 1),
        ):
            self.assertGreater(difference(drawn, original, place), 60, place)
        self.assertLess(difference(drawn, original, middle), 40)


def difference(one: Image.Image, other: Image.Image, place: tuple[int, int]) -> int:
    """How far two pixels are apart, over all three colours."""
    pairs = zip(
        one.crop((*place, place[0] + 1, place[1] + 1)).tobytes(),
        other.crop((*place, place[0] + 1, place[1] + 1)).tobytes(),
        strict=True,
    )
    return sum(abs(a - b) for a, b in pairs)


class StatusTests(ContractCase):
    def test_the_status_of_a_done_image(self) -> None:
        resource = self.done(samples.another(samples.face(), 50))
        self.assertEqual((resource["status"], resource["reason"]), ("done", None))
        self.assertEqual(resource["faces_count"], 1)
        self.assertIsNotNone(datetime.fromisoformat(resource["created_at"]).utcoffset())
        self.assertIsNotNone(datetime.fromisoformat(resource["processed_at"]).utcoffset())

    def test_the_status_goes_from_queued_over_processing_to_done(self) -> None:
        self.stack.pool.stop()
        id = self.stack.upload(samples.another(samples.phone_photo(), 51))
        queued = self.stack.status(id)
        self.assertEqual((queued["status"], queued["processed_at"]), ("queued", None))
        self.assertEqual((queued["faces_count"], queued["image_url"]), (None, None))
        self.stack.pool.start()
        self.stack.wait_in_work(id)
        self.assertEqual(self.stack.status(id)["status"], "processing")
        self.assertEqual(self.stack.wait_ended([id])[id]["status"], "done")

    def test_the_status_answers_with_and_without_the_slash(self) -> None:
        id = self.stack.upload(samples.no_face())
        self.stack.wait_ended([id])
        with_slash, without = self.stack.get(f"/image/{id}/"), self.stack.get(f"/image/{id}")
        self.assertEqual((with_slash.status_code, without.status_code), (200, 200))
        self.assertEqual(with_slash.json(), without.json())

    def test_an_image_without_a_face_is_done_without_a_picture(self) -> None:
        resource = self.done(samples.another(samples.no_face(), 52))
        self.assertEqual((resource["faces_count"], resource["faces"]), (0, []))
        self.assertIsNone(resource["image_url"])
