"""The command line, as a shell sees it."""

import io
import json
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from PIL import Image

import faceengine
from faceengine import runtime
from faceengine.cli import main
from tests.support import image_factories


class CommandTest(unittest.TestCase):
    folder: Path
    obama: str
    two: str
    empty: str
    text: str

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.obama = cls.write(
            "obama.jpg", image_factories.encoded(image_factories.portrait(width=250))
        )
        cls.two = cls.write(
            "two.png", image_factories.encoded(image_factories.side_by_side(width=250), "PNG")
        )
        cls.empty = cls.write("nobody.jpg", image_factories.encoded(image_factories.faceless()))
        cls.text = cls.write("notes.txt", b"not an image")

    @classmethod
    def write(cls, name: str, data: bytes) -> str:
        path = cls.folder / name
        path.write_bytes(data)
        return str(path)

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            code = main(arguments)
        return code, out.getvalue(), errors.getvalue()

    def test_detect_prints_a_json_line_a_file(self) -> None:
        code, out, _ = self.run_main("detect", self.obama, self.two, self.empty)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([len(row["faces"]) for row in rows], [1, 2, 0])
        self.assertEqual(code, 0)
        (face,) = faceengine.find_faces(Path(self.obama), encode=False)
        self.assertEqual(rows[0]["faces"][0]["box"], face.box._asdict())
        self.assertEqual(len(rows[0]["faces"][0]["landmarks"]), 5)
        self.assertNotIn("encoding", rows[0]["faces"][0])

    def test_encode_adds_the_numbers_and_the_model(self) -> None:
        code, out, _ = self.run_main("encode", self.obama)
        row = json.loads(out)
        self.assertEqual((code, row["model"]), (0, faceengine.MODEL))
        self.assertEqual(len(row["faces"][0]["encoding"]), 128)

    def test_a_file_that_fails_does_not_stop_the_others(self) -> None:
        code, out, errors = self.run_main("detect", self.text, "/nonexistent.jpg", self.obama)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(code, 1)
        self.assertEqual([row.get("reason") for row in rows], ["not_an_image", "unreadable", None])
        self.assertIn("notes.txt: The file is not an image.", errors)
        self.assertNotIn("Traceback", errors)

    def test_draw_writes_a_jpeg_beside_the_image_or_elsewhere(self) -> None:
        target = self.folder / "drawn"
        code, out, _ = self.run_main("draw", "--output", str(target), self.two)
        self.assertEqual((code, json.loads(out)["output"]), (0, str(target / "two.faces.jpg")))
        with Image.open(target / "two.faces.jpg") as drawn:
            self.assertEqual((drawn.format, drawn.size), ("JPEG", Image.open(self.two).size))

    def test_compare_measures_every_pair(self) -> None:
        code, out, _ = self.run_main("compare", self.obama, self.two)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((code, len(rows)), (0, 2))
        self.assertEqual(sorted(row["same_person"] for row in rows), [False, True])

    def test_a_table_lines_up(self) -> None:
        _, out, _ = self.run_main("detect", "--table", self.obama, self.two, self.empty)
        lines = out.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn("no face", lines[3])
        self.assertEqual(len({line.index("px") for line in lines[:3]}), 1)
        _, out, _ = self.run_main("compare", "--table", self.obama, self.two)
        self.assertIn("same person", out)

    def test_the_detector_can_be_chosen(self) -> None:
        code, out, _ = self.run_main("detect", "--detector", "cnn", self.obama)
        self.assertEqual((code, len(json.loads(out)["faces"])), (0, 1))

    def test_a_missing_reference_or_provider_is_told_in_a_line(self) -> None:
        before = runtime._settings
        self.addCleanup(setattr, runtime, "_settings", before)
        self.addCleanup(runtime._loaded.clear)
        for arguments in (
            ("compare", "/nonexistent.jpg", self.obama),
            ("compare", self.text, self.obama),
            ("detect", "--provider", "cuda", self.obama),
        ):
            code, _, errors = self.run_main(*arguments)
            self.assertEqual((code, errors.count("\n")), (2, 1), errors)

    def test_warm_converts_all_models(self) -> None:
        before = runtime._settings
        self.addCleanup(setattr, runtime, "_settings", before)
        self.addCleanup(runtime._loaded.clear)
        cache = self.folder / "models"
        code, out, _ = self.run_main("warm", "--model-cache", str(cache))
        self.assertEqual((code, len(list(cache.iterdir()))), (0, 3))
        self.assertIn(str(cache), out)

    def test_it_runs_as_a_module_and_shows_progress_only_to_a_terminal(self) -> None:
        command = [sys.executable, "-m", "faceengine", "detect", self.obama, self.two]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, 2))
        self.assertNotIn("file/s", done.stderr)

    def test_a_reader_that_leaves_early_is_no_error(self) -> None:
        command = f"{sys.executable} -m faceengine detect {self.obama} {self.two} | true"
        done = subprocess.run(command, shell=True, capture_output=True, text=True)
        self.assertEqual((done.returncode, "Traceback" in done.stderr), (0, False))

    def test_a_wrong_command_line_is_exit_code_2(self) -> None:
        for arguments in (
            (),
            ("fly",),
            ("detect",),
            ("detect", "--max-detection-pixels", "0", "x"),
        ):
            with self.assertRaises(SystemExit) as caught:
                self.run_main(*arguments)
            self.assertEqual(caught.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
