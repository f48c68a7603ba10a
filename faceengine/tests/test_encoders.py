"""Encoders of one's own: what is found out of a file, what they make of faces, what is refused."""

import json
import shutil
import tempfile
import unittest
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy
from onnx import load_model, save_model
from PIL import Image

import faceengine
from faceengine import DLIB, Encoder, ModelError, encoders, encoding, landmarks, runtime
from faceengine.cli import main
from faceengine.imaging.scaled import View
from tests.support import image_factories, made_up_encoder, photographs, sface

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels

OBAMA = ("obama.jpg", "obama2.jpg", "obama3.jpg")


class FolderCase(unittest.TestCase):
    """An empty folder, and a model cache of the test's own."""

    folder: Path

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        settings = runtime.Settings(model_cache=self.folder / "cache")
        for name, value in (("_settings", settings), ("_loaded", {})):
            patch: Any = mock.patch.object(runtime, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def toml(self, text: str, folder: str = "") -> None:
        (self.folder / folder / encoders.FACTS).write_text(text)


def noise(count: int = 3) -> list["Pixels"]:
    shape = (count, landmarks.ARCFACE_SIDE_PX, landmarks.ARCFACE_SIDE_PX, 3)
    return list(numpy.random.default_rng(1).integers(0, 256, shape, numpy.uint8))


def encoded(encoder: Encoder, chips: "Sequence[Pixels] | None" = None) -> Any:
    return numpy.stack(encoding.encode(noise() if chips is None else chips, encoder))


class MadeUpTest(FolderCase):
    def test_its_facts_are_found_out(self) -> None:
        for dimensions in (128, 512, 1024):
            file = made_up_encoder.write(self.folder / f"{dimensions}.onnx", dimensions)
            encoder = faceengine.open_encoder(file)
            self.assertEqual(encoder.dimensions, dimensions)
            self.assertIsNone(encoder.thresholds)
            found = encoded(encoder)
            self.assertEqual((found.shape, found.dtype), ((3, dimensions), numpy.float32))
            numpy.testing.assert_allclose(numpy.linalg.norm(found, axis=1), 1, atol=1e-5)

    def test_the_numbers_are_those_of_the_network(self) -> None:
        """(RGB - 127.5) / 127.5, channels first, divided by the length."""
        encoder = faceengine.open_encoder(made_up_encoder.write(self.folder / "a.onnx"))
        pixels = (numpy.stack(noise()).astype("f8") - 127.5) / 127.5
        cells = pixels.transpose(0, 3, 1, 2).reshape(3, 3, 7, 16, 7, 16).mean((3, 5))
        weights = numpy.random.default_rng(0).normal(0, 1, (512, 147)).astype("f4")
        expected = cells.reshape(3, -1) @ weights.T.astype("f8")
        expected /= numpy.linalg.norm(expected, axis=1, keepdims=True)
        numpy.testing.assert_allclose(encoded(encoder), expected, atol=1e-5)

    def test_layout_and_own_normalisation_do_not_change_them(self) -> None:
        plain = faceengine.open_encoder(made_up_encoder.write(self.folder / "a.onnx"))
        for options in ({"normalises": True}, {"channels_last": True}, {"only_one": True}):
            with self.subTest(**options):
                name = f"{[*options][0]}.onnx"
                other = faceengine.open_encoder(
                    made_up_encoder.write(self.folder / name, **options)
                )
                numpy.testing.assert_allclose(encoded(other), encoded(plain), atol=1e-5)
                self.assertNotEqual(other.name, plain.name)

    def test_model_toml_says_what_cannot_be_found_out(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        plain, swapped = faceengine.open_encoder(file), [each[..., ::-1] for each in noise()]
        before = encoded(plain, swapped)
        runtime._loaded.clear()
        self.toml('channels = "bgr"\nmean = 127.5\nstd = 127.5\n')
        bgr = faceengine.open_encoder(file)
        numpy.testing.assert_allclose(encoded(bgr), before, atol=1e-5)
        self.assertNotEqual(bgr.name, plain.name)

    def test_thresholds_belong_to_it_and_may_change(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        name = faceengine.open_encoder(file).name
        table = (
            "[thresholds]\nsame_person = 1.2\nmatch_distance = 1.1\nslope = 20\nmidpoint = 1.2\n"
        )
        for ceiling in (0.99, 0.98):
            runtime._loaded.clear()
            self.toml(f"{table}ceiling = {ceiling}\n")
            encoder = faceengine.open_encoder(file)
            self.assertEqual(encoder.name, name)
            expected = faceengine.Thresholds(1.2, 1.1, 20, 1.2, ceiling)
            self.assertEqual(encoder.thresholds, expected)

    def test_a_faulty_model_toml_is_a_model_error(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        for text in (
            "no toml",
            'channels = "grb"',
            "mean = 127.5",
            'mean = "a"\nstd = 1',
            "mean = 1\nstd = 0",
            "[thresholds]\nsame_person = 1.2",
        ):
            runtime._loaded.clear()
            self.toml(text)
            with self.subTest(text), self.assertRaisesRegex(ModelError, "model.toml"):
                faceengine.open_encoder(file)

    def test_it_is_converted_once_and_needs_no_onnx_afterwards(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        first = faceengine.open_encoder(file)
        runtime._loaded.clear()
        with mock.patch("faceengine.conversion.arcface.build", side_effect=AssertionError):
            self.assertEqual(faceengine.open_encoder(file), first)

    def test_a_converted_folder_moves(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        converted = encoders.convert(file, self.folder / "one")
        (self.folder / "one").rename(self.folder / "two")
        moved = faceengine.open_encoder(self.folder / "two")
        self.assertEqual(moved.name, converted.name)
        self.assertEqual(moved.name, faceengine.open_encoder(file).name)
        with self.assertRaisesRegex(ModelError, "exists already"):
            encoders.convert(file, self.folder / "two")

    def test_a_damaged_converted_file_is_a_model_error(self) -> None:
        encoder = encoders.convert(
            made_up_encoder.write(self.folder / "a.onnx"), self.folder / "one"
        )
        with (self.folder / "one" / encoders.NETWORK).open("ab") as file:
            file.write(b"x")
        with self.assertRaisesRegex(ModelError, "damaged"):
            encoded(encoder)


class PackTest(FolderCase):
    def test_the_one_encoder_of_a_pack_is_taken(self) -> None:
        for name in ("det_10g.onnx", "1k3d68.onnx", "2d106det.onnx", "genderage.onnx"):
            (self.folder / name).write_bytes(b"another network")
        made_up_encoder.write(self.folder / "w600k_r50.onnx")
        self.assertEqual(faceengine.open_encoder(self.folder).dimensions, 512)

    def test_of_several_one_has_to_be_named(self) -> None:
        for name in ("a.onnx", "b.onnx"):
            made_up_encoder.write(self.folder / name, 512 if name == "a.onnx" else 256)
        with self.assertRaisesRegex(ModelError, "a.onnx, b.onnx"):
            faceengine.open_encoder(self.folder)
        runtime._loaded.clear()
        self.toml('file = "b.onnx"')
        self.assertEqual(faceengine.open_encoder(self.folder).dimensions, 256)


class RefusedTest(FolderCase):
    def test_other_files_are_model_errors_that_say_why(self) -> None:
        write, folder = made_up_encoder.write, self.folder
        (folder / "text.onnx").write_text("no network")
        (folder / "empty.onnx").write_bytes(b"")
        for file, why in (
            (folder / "text.onnx", "no ONNX model"),
            (folder / "empty.onnx", "no ONNX model"),
            (folder / "missing.onnx", "There is no encoder"),
            (write(folder / "small.onnx", 64), "128 to 1024"),
            (write(folder / "large.onnx", 1025), "128 to 1024"),
            (write(folder / "side.onnx", side_px=96), "takes .*96, 96"),
            (self.with_a_second_output(), "one output"),
        ):
            with self.subTest(file.name), self.assertRaisesRegex(ModelError, why):
                faceengine.open_encoder(file)
        self.assertEqual([*(folder / "cache").glob("*")], [])

    def with_a_second_output(self) -> Path:
        file = made_up_encoder.write(self.folder / "two.onnx")
        model = load_model(file)
        model.graph.output.append(model.graph.output[0])
        save_model(model, file)
        return file

    def test_without_the_package_onnx_the_remedy_is_named(self) -> None:
        file = made_up_encoder.write(self.folder / "a.onnx")
        modules = {"faceengine.conversion.arcface": None}
        with (
            mock.patch.dict("sys.modules", modules),
            mock.patch.object(faceengine.conversion, "arcface", create=True) as module,
        ):
            del faceengine.conversion.arcface
            with self.assertRaisesRegex(ModelError, "faceengine convert FILE FOLDER"):
                faceengine.open_encoder(file)
            faceengine.conversion.arcface = module


class FacesTest(FolderCase):
    def test_512_numbers_of_each_face(self) -> None:
        encoder = faceengine.open_encoder(made_up_encoder.write(self.folder / "a.onnx"))
        image = image_factories.side_by_side(width=250)
        faces = faceengine.find_faces(image, encoder=encoder)
        (batch,) = faceengine.encode_many([image], encoder=encoder)
        others = faceengine.find_faces(image)
        self.assertEqual(len(faces), 2)
        for face, same, other in zip(faces, batch, others, strict=True):
            assert face.encoding is not None and other.encoding is not None
            self.assertEqual((face.encoding.shape, other.encoding.shape), ((512,), (128,)))
            numpy.testing.assert_array_equal(face.encoding, same.encoding)
            self.assertEqual((face.box, face.quality), (other.box, other.quality))

    def test_the_chip_has_the_face_on_arcfaces_template(self) -> None:
        """dlib finds its five points again where they were put."""
        image = faceengine.load_image(photographs.path("obama.jpg"))
        encoder = faceengine.open_encoder(made_up_encoder.write(self.folder / "a.onnx"))
        for degrees in (0, 15):
            turned = image.rotate(degrees)
            (face,) = faceengine.find_faces(turned, encode=False)
            view = View(turned)
            chip = landmarks.cut(view, face.box, 0, encoder)
            self.assertEqual(chip.encoded.shape, (112, 112, 3))
            box = faceengine.Box(32, 92, 92, 20)
            again = landmarks.cut(View(Image.fromarray(chip.encoded)), box)
            off = numpy.array(again.landmarks) - landmarks._ON_TEMPLATE
            self.assertLess(float(abs(off).max()), 7, degrees)


class SFaceTest(FolderCase):
    def setUp(self) -> None:
        super().setUp()
        self.encoder = faceengine.open_encoder(sface.path())

    def test_it_is_known(self) -> None:
        self.assertEqual((self.encoder.name, self.encoder.dimensions), (sface.NAME, 128))
        assert self.encoder.thresholds is not None
        self.assertEqual(self.encoder.thresholds.same_person, 1.128)

    def test_the_folded_network_gives_opencvs_numbers(self) -> None:
        """The first of what OpenCV 5.0's DNN makes of the quantised file, divided by the length."""
        expected = (0.16546729, 0.15164594, -0.03684576, -0.02539500, -0.04406153, -0.01829616)
        pixels = (numpy.arange(112 * 112 * 3) % 251).astype(numpy.uint8).reshape(112, 112, 3)
        (found,) = encoding.encode([pixels], self.encoder)
        numpy.testing.assert_allclose(found[:6], expected, atol=1e-5)

    def test_it_tells_people_apart_with_every_detector(self) -> None:
        names = [name for name in faceengine.DETECTORS if faceengine.is_available(name)]
        assert self.encoder.thresholds is not None
        limit = self.encoder.thresholds.same_person
        for detector in names:
            with self.subTest(detector):
                one, *others, biden = (
                    self.encoding(name, detector) for name in (*OBAMA, "biden.jpg")
                )
                for other in others:
                    self.assertLess(faceengine.distance(one, other), 0.8 * limit)
                self.assertGreater(faceengine.distance(one, biden), limit)

    def encoding(self, name: str, detector: faceengine.Detector) -> Any:
        image = faceengine.load_image(photographs.path(name))
        (face,) = faceengine.find_faces(image, detector, encoder=self.encoder)
        return face.encoding


class CommandTest(FolderCase):
    def run_main(self, *arguments: str) -> tuple[int, Any]:
        options = ("--model-cache", str(self.folder / "cache"))
        with redirect_stdout(out := StringIO()), redirect_stderr(StringIO()):
            code = main([arguments[0], *options, *arguments[1:]])
        return code, out.getvalue()

    def test_the_command_line_takes_an_encoder(self) -> None:
        photo = self.folder / "obama.jpg"
        shutil.copy(photographs.path("obama.jpg"), photo)
        file = made_up_encoder.write(self.folder / "a.onnx")
        code, out = self.run_main("convert", str(file), str(self.folder / "new"))
        self.assertEqual(code, 0)
        self.assertIn("512 numbers", out)
        encoder = ("--encoder", str(self.folder / "new"))
        code, out = self.run_main("encode", *encoder, str(photo))
        row = json.loads(out)
        self.assertEqual(len(row["faces"][0]["encoding"]), 512)
        self.assertEqual(row["model"], faceengine.open_encoder(self.folder / "new").name)
        self.assertEqual(self.run_main("compare", *encoder, str(photo), str(photo))[0], 2)
        threshold = ("--threshold", "0.1")
        code, out = self.run_main("compare", *encoder, *threshold, str(photo), str(photo))
        self.assertTrue(json.loads(out)["same_person"])

    def test_dlib_is_the_default(self) -> None:
        self.assertIs(faceengine.open_encoder(), DLIB)
        self.assertEqual(DLIB.name, faceengine.MODEL)
