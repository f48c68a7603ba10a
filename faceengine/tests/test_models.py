"""dlib's files read and converted; damaged, changed and half-written ones."""

import hashlib
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import numpy

from faceengine import ModelError
from faceengine.conversion import cache, detector, dlib_format, encoder
from faceengine.runtime import model_file

ENCODER = "dlib_face_recognition_resnet_model_v1.dat"
DETECTOR = "mmod_human_face_detector.dat"


class DatTest(unittest.TestCase):
    def test_it_reads_the_numbers_as_dlib_writes_them(self) -> None:
        reader = dlib_format._Reader(bytes.fromhex("0105 8104 028012 01108104 0100010b"), 0)
        self.assertEqual([reader.integer() for _ in range(3)], [5, -4, 0x1280])
        self.assertEqual([reader.real(), reader.real()], [1.0, 0.0])

    def test_it_finds_every_layer_of_both_networks(self) -> None:
        layers = list(dlib_format.layers(model_file(ENCODER).read_bytes()))
        kinds = [layer.kind for layer in layers]
        self.assertEqual(kinds.count("con_4"), 29)
        self.assertEqual(kinds.count("add_prev_"), 14)
        self.assertEqual((kinds[0], kinds[-1]), ("input_rgb_image_sized", "fc_2"))
        numpy.testing.assert_allclose(layers[0].numbers, (122.782, 117.001, 104.298), rtol=1e-6)
        self.assertEqual(layers[-1].tensors[0].size, 128 * 256)
        layers = list(dlib_format.layers(model_file(DETECTOR).read_bytes()))
        self.assertEqual([layer.kind for layer in layers].count("con_4"), 7)

    def test_a_file_that_ends_early_is_a_model_error(self) -> None:
        data = model_file(DETECTOR).read_bytes()
        for length in (0, 3, 200, 5000, 300_000, len(data) - 5000):
            with self.assertRaises(ModelError):
                detector.build_scores(data[:length])

    def test_another_network_is_a_model_error(self) -> None:
        with self.assertRaisesRegex(ModelError, "encoder"):
            encoder.build(model_file(DETECTOR).read_bytes())
        with self.assertRaisesRegex(ModelError, "detector"):
            detector.build_features(model_file(ENCODER).read_bytes())

    def test_damaged_numbers_are_a_model_error(self) -> None:
        data = bytearray(model_file(DETECTOR).read_bytes())
        place = data.index(b"con_4") + 5
        for patch in (b"\x00", b"\x7f", b"\x01\x03"):
            damaged = bytes(data[:place] + patch + data[place + len(patch) :])
            with self.assertRaises(ModelError):
                list(dlib_format.layers(damaged))


class CacheTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "deep", "cache")
        self.source = Path(folder.name, "model.dat")
        self.source.write_bytes(b"weights")
        self.built = 0

    def converted(self, build: Callable[[bytes], bytes] | None = None) -> bytes:

        digest = hashlib.sha256(b"weights").hexdigest()
        found = cache.converted(self.source, digest, self.folder, "model", build or self.build)
        return found if isinstance(found, bytes) else found.read_bytes()

    def build(self, data: bytes) -> bytes:
        self.built += 1
        return b"onnx of " + data

    def test_it_converts_once(self) -> None:
        self.assertEqual([self.converted() for _ in range(3)], [b"onnx of weights"] * 3)
        self.assertEqual(self.built, 1)
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_it_builds_a_damaged_entry_anew(self) -> None:
        self.converted()
        (entry,) = self.folder.iterdir()
        whole = entry.read_bytes()
        damages = (b"", whole[:5], whole[:-1], whole[:-1] + b"?", b"x" * 99)
        for number, damaged in enumerate(damages):
            entry.write_bytes(damaged)
            with self.assertLogs("faceengine", "WARNING"):
                self.assertEqual(self.converted(), b"onnx of weights")
            self.assertEqual((self.built, entry.read_bytes()), (number + 2, whole))

    def test_what_a_killed_process_left_behind_is_no_entry(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "tmpabc123").write_bytes(b"onnx of wei")
        self.assertEqual(self.converted(), b"onnx of weights")

    def test_it_refuses_a_changed_source_even_when_it_has_an_entry(self) -> None:
        self.converted()
        self.source.write_bytes(b"weighty")
        with self.assertRaisesRegex(ModelError, "model.dat is damaged"):
            self.converted()

    def test_what_was_converted_needs_its_source_no_more(self) -> None:
        self.converted()
        self.source.unlink()
        self.assertEqual(self.converted(), b"onnx of weights")

    def test_it_refuses_a_source_that_can_not_be_read(self) -> None:
        self.source.unlink()
        with self.assertRaisesRegex(ModelError, "can not be read"):
            self.converted()

    def test_a_folder_that_can_not_be_written_costs_only_time(self) -> None:
        self.folder.parent.write_text("a file where the folder should be")
        with self.assertLogs("faceengine", "WARNING"):
            self.assertEqual(self.converted(), b"onnx of weights")

    def test_a_build_that_fails_leaves_nothing_behind(self) -> None:
        def fail(_: bytes) -> bytes:
            raise ModelError("no")

        with self.assertRaises(ModelError):
            self.converted(fail)
        self.assertFalse(self.folder.exists())


if __name__ == "__main__":
    unittest.main()
