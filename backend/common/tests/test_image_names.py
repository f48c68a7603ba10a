"""Which names of uploaded images are refused: those of another format."""

from django.test import SimpleTestCase

from backend.common.http.image_names import (
    EXTENSIONS,
    refused_extension,
    stored_extension,
)
from tests.support.bounded_cpu import bounded_cpu

_OF_HEIF = ("heics", "heifs", "hif", "avifs")


class NamesTests(SimpleTestCase):
    def test_every_usual_name_of_an_image_format_is_taken(self) -> None:
        usual = [
            *("jpe", "jfif", "jfi", "jif", "pjpeg", "pjp", "mpo", "apng", "dib"),
            "insp",
            *_OF_HEIF,
        ]
        for extension in [*EXTENSIONS, *usual]:
            for name in (f"x.{extension}", f"x.{extension.upper()}", f".{extension}", extension):
                with self.subTest(name):
                    self.assertEqual(refused_extension(name), "")

    def test_a_name_that_names_no_format_is_taken(self) -> None:
        for name in (
            *("", " ", "blob", "image", "x.", "x...", "...", "Dr. Who", "19.07.2024", "IMG_1.2"),
            *("x.jpg ", " x.jpg", "x.jpg.", "x.jpg\t", "x.jpg (1)", "x (1).jpg", "x.jpg~"),
            *("x.jpg_large", "x.jpg:large", "x.jpg?w=100", "x.JPG;1", "x.ｊｐｇ", "Müller.jpg"),
            *(
                "x.jpg.tmp",
                "x.jpg.part",
                "x.crdownload",
                "x.bin",
                "x.DAT",
                "x.octet-stream",
                "x.orig",
            ),
            *("C:\\pictures.old\\x", "写真", "写真.jpg", "x.jpg\u200b", "x.jpg.1"),
        ):
            with self.subTest(name):
                self.assertEqual(refused_extension(name), "")

    def test_a_camera_raw_file_is_left_to_the_decoder_which_names_it(self) -> None:
        for extension in ("dng", "NEF", "cr2", "CR3", "arw", "raf", "orf", "rw2", "pef"):
            self.assertEqual(refused_extension(f"x.{extension}"), "")

    def test_a_name_of_another_format_is_refused_by_its_extension(self) -> None:
        for name, extension in (
            *(("x.txt", "txt"), ("x.svg", "svg"), ("x.PDF", "pdf"), ("x.jpg.exe", "exe")),
            *(("x.txt ", "txt"), (".svg", "svg"), ("x.7z", "7z"), ("x.mp4", "mp4")),
            *(("x.php_large", "php"), ("x.jp2", "jp2"), ("a.jpg/b.html", "html")),
            *(("x.html?y=z.jpg", ""), ("x.тхт", "тхт")),
        ):
            with self.subTest(name):
                self.assertEqual(refused_extension(name), extension)

    def test_a_file_is_stored_under_the_usual_extension_of_its_format(self) -> None:
        for name, extension in (
            *(("x.JPEG", "jpeg"), ("x.jfif", "jpg"), ("x.png ", "png"), ("x.hif", "heif")),
            *(("blob", "jpg"), ("", "jpg"), ("a/b", "jpg"), ("x.jpg (1)", "jpg"), ("x.a", "jpg")),
        ):
            self.assertEqual(stored_extension(name), extension)

    def test_a_hostile_name_takes_no_longer_than_its_length(self) -> None:
        marks = "\u0315" * 100_000 + "\u0300" * 100_000
        for name in (f".{'a' * 500_000}/", ".a" * 250_000, f".{'1' * 500_000}", marks):
            with bounded_cpu():
                refused_extension(name + "/")
        self.assertEqual(refused_extension(f"{marks}.exe"), "exe")
