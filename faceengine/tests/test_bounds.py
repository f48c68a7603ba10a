"""Time and memory of decoding are bounded, whatever the format."""

import io
import os
import signal
import threading
import unittest
from unittest import mock

from PIL import Image

import faceengine
from faceengine import ImageError, Problem
from faceengine.imaging import inspection, isolation
from faceengine.imaging.budget import Budget, Slots
from tests.support import costly_files, image_factories

PICTURE = image_factories.portrait(width=160)
HEIC = image_factories.encoded(PICTURE, "HEIC")


class InspectionTests(unittest.TestCase):
    def test_photos_of_formats_with_a_simple_structure_are_plain(self) -> None:
        for name in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
            file = io.BytesIO(image_factories.encoded(PICTURE, name))
            self.assertTrue(inspection.inspect(file).is_plain, name)
            self.assertEqual(file.tell(), 0)
        for orientation in image_factories.ORIENTATIONS:
            for name in ("JPEG", "PNG", "WEBP"):
                data = image_factories.oriented(PICTURE, orientation, name)
                self.assertTrue(inspection.inspect(io.BytesIO(data)).is_plain, name)

    def test_a_jpeg_is_plain_however_it_is_coded(self) -> None:
        for options in ({"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}):
            data = image_factories.encoded(PICTURE, **options)
            self.assertTrue(inspection.inspect(io.BytesIO(data)).is_plain, options)

    def test_the_size_of_each_webp_is_read(self) -> None:
        picture = PICTURE.resize((120, 90))
        for options in ({}, {"lossless": True}, {"exif": image_factories.oriented(PICTURE, 6)}):
            data = image_factories.encoded(picture, "WEBP", **options)
            cost = inspection.inspect(io.BytesIO(data))
            expected = inspection.estimate("WEBP", 120 * 90, len(data))
            self.assertEqual(cost.memory_bytes, expected.memory_bytes)

    def test_many_scans_of_a_small_jpeg_are_accepted_and_of_a_large_one_refused(self) -> None:
        inspection.inspect(io.BytesIO(costly_files.jpeg_of_scans(700, 64)))
        with self.assertRaises(ImageError) as caught:
            inspection.inspect(io.BytesIO(costly_files.jpeg_of_scans(700)))
        self.assertEqual(caught.exception.reason, Problem.TOO_LARGE)


class IsolationTests(unittest.TestCase):
    def test_an_image_of_another_process_has_the_same_pixels(self) -> None:
        png = image_factories.encoded(PICTURE, "PNG")
        tiff = image_factories.encoded(PICTURE, "TIFF")
        self.assertFalse(inspection.inspect(io.BytesIO(tiff)).is_plain)
        self.assertEqual(
            faceengine.load_image(tiff).tobytes(), faceengine.load_image(png).tobytes()
        )

    def test_what_exceeds_the_limits_is_refused_in_words(self) -> None:
        tight = isolation.Limits(seconds=1, memory_bytes=1 << 20)
        large = image_factories.encoded(Image.new("RGB", (3000, 2000)), "TIFF")
        with mock.patch.object(isolation, "LOAD", tight), self.assertRaises(ImageError) as caught:
            faceengine.load_image(large)
        self.assertEqual(str(caught.exception), isolation.TOO_COSTLY)

    def test_a_helper_that_was_killed_is_replaced(self) -> None:
        faceengine.check_image(HEIC)
        assert isolation._helper is not None
        os.kill(isolation._helper.process.pid, signal.SIGKILL)
        isolation._helper.process.wait()
        self.assertEqual(faceengine.check_image(HEIC).format, "HEIC")

    def test_decoders_of_many_threads_answer_each_its_own(self) -> None:
        sizes = [(16 * number, 32) for number in range(1, 9)]
        found: dict[int, int] = {}

        def check(width: int, height: int) -> None:
            data = image_factories.encoded(Image.new("RGB", (width, height)), "TIFF")
            found[width] = faceengine.check_image(data).width

        threads = [threading.Thread(target=check, args=size) for size in sizes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {width: width for width, _ in sizes})

    def test_a_file_on_the_disk_is_read_from_its_beginning(self) -> None:
        with open(os.memfd_create("photo"), "w+b") as file:
            file.write(HEIC)
            self.assertEqual(faceengine.check_image(file).format, "HEIC")
            self.assertEqual(file.tell(), 0)


class BudgetTests(unittest.TestCase):
    def test_no_more_is_reserved_than_there_is(self) -> None:
        budget, entered, leave = Budget(100), threading.Semaphore(0), threading.Event()

        def hold() -> None:
            with budget.reserved(60):
                entered.release()
                leave.wait()

        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        entered.acquire()
        with budget.reserved(40):
            self.assertFalse(entered.acquire(timeout=0.05))
        leave.set()
        self.assertTrue(entered.acquire(timeout=60))
        for thread in threads:
            thread.join()
        with budget.reserved(1000):  # counts as all
            pass


class SlotsTests(unittest.TestCase):
    def test_one_client_leaves_a_slot_to_others(self) -> None:
        slots = Slots(3, 2)
        with slots.held("a", timeout_s=0) as first, slots.held("a", timeout_s=0) as second:
            self.assertTrue(first and second)
            with slots.held("a", timeout_s=0) as third, slots.held("b", timeout_s=0) as other:
                self.assertEqual((third, other), (False, True))
                with slots.held(None, timeout_s=0) as fifth:
                    self.assertFalse(fifth)
            with slots.held(None, timeout_s=0) as last:
                self.assertTrue(last)
        with slots.held("a", timeout_s=0) as again:
            self.assertTrue(again)

    def test_a_slot_that_becomes_free_is_taken_by_a_client_that_may(self) -> None:
        slots, found = Slots(2, 1), list[str]()

        def take(client: str) -> None:
            with slots.held(client, timeout_s=60) as is_held:
                found.append(client if is_held else "")

        with slots.held("a", timeout_s=0):
            waiting = threading.Thread(target=take, args=["a"])
            waiting.start()
            take("b")
            self.assertEqual(found, ["b"])
        waiting.join()
        self.assertEqual(found, ["b", "a"])
