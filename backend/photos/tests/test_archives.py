"""A whole album in one file: what is taken out of it, what is skipped, and what is no archive."""

import gzip
import io
import os
import stat
import tarfile
import tempfile
import time
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, TestCase, override_settings
from django.utils import timezone

from backend.common.jobs.models import JobError, Status
from backend.photos import tasks
from backend.photos.albums import archive_import, archive_reader, service
from backend.photos.albums.archive_reader import ArchiveError, EntryError
from backend.photos.files import storage
from backend.photos.models import Album, ArchiveUpload, Photo
from backend.photos.tests import factories
from tests.support import hostile_files, image_factories

_COMPRESSED = ("w", "w:gz")


def taken_out(content: bytes, *, max_bytes: int = 1 << 20) -> dict[str, bytes | str]:
    """Of each file its bytes, or why not."""
    found: dict[str, bytes | str] = {}
    for entry in archive_reader.read_entries(io.BytesIO(content), size_bytes=len(content)):
        unpacked = io.BytesIO()
        try:
            if not entry.refusal:
                entry.unpack(unpacked, max_bytes=max_bytes)
            found[entry.name] = entry.refusal or unpacked.getvalue()
        except EntryError as error:
            found[entry.name] = str(error)
    return found


def zip_with_names(names: Sequence[str], page: str) -> bytes:
    """A zip whose names are in this encoding; with the flag of UTF-8 only if it is "flagged"."""
    files = dict.fromkeys(names, b"x")
    if page == "flagged":
        return factories.zipped(files)
    coded = [name.encode(page) for name in names]
    plain = [f"{index:03}".ljust(len(each), "_") for index, each in enumerate(coded)]
    content = factories.zipped(dict.fromkeys(plain, b"x"))
    for ascii_name, name in zip(plain, coded, strict=True):
        content = content.replace(ascii_name.encode(), name)
    return content


class ReadingTests(SimpleTestCase):
    FILES = {"a.jpg": b"a" * 3000, "folder/b.jpg": os.urandom(512)}

    def test_zip_and_tar_in_each_compression_give_the_same_files(self) -> None:
        self.assertEqual(taken_out(factories.zipped(self.FILES)), self.FILES)
        for mode in _COMPRESSED:
            with self.subTest(mode):
                self.assertEqual(taken_out(factories.tarred(self.FILES, mode)), self.FILES)

    def test_compressed_streams_one_after_the_other_are_one(self) -> None:
        """As pigz writes them."""
        whole = factories.tarred(self.FILES)
        parts = whole[:700], whole[700:]
        self.assertEqual(taken_out(b"".join(map(gzip.compress, parts))), self.FILES)

    def test_other_formats_are_refused_with_the_ones_that_are_taken(self) -> None:
        for mode in ("w:bz2", "w:xz"):
            with self.assertRaisesMessage(ArchiveError, archive_reader.OTHER_FORMAT):
                taken_out(factories.tarred(self.FILES, mode))

        for start in (
            b"7z\xbc\xaf\x27\x1c",
            b"Rar!\x1a\7\0",
            b"MSCF",
            b"\x1f\x9d",
            b"LZIP",
            b"070701",
        ):
            with self.assertRaisesMessage(ArchiveError, archive_reader.OTHER_FORMAT):
                taken_out(start + bytes(500))

    def test_names_that_lead_out_and_hidden_files_are_not_taken_out(self) -> None:
        unsafe = [
            "../a.jpg",
            "x/../../a.jpg",
            "/etc/a.jpg",
            "C:\\a.jpg",
            "\\\\host\\a.jpg",
            "..\\a.jpg",
        ]
        unsafe += ["x/..", "a/./../../b/c.jpg", "//a.jpg"]
        hidden = ["__MACOSX/._a.jpg", ".a.jpg", "x/.hidden/a.jpg", "x/../.a.jpg"]
        hidden += ["Thumbs.db", "x/desktop.ini", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "Icon\r"]
        nested = ["a.zip", "b.tar.gz", "c.7z"]
        files = dict.fromkeys([*unsafe, *hidden, *nested, "good.jpg"], b"x")
        for content in (factories.zipped(files), factories.tarred(files)):
            found = taken_out(content)
            for names, reason in (
                (unsafe, archive_reader._UNSAFE_NAME),
                (hidden, archive_reader._HIDDEN),
                (nested, archive_reader._NESTED),
            ):
                self.assertEqual({found[name] for name in names}, {reason})
            self.assertEqual(found["good.jpg"], b"x")

    def test_a_name_with_a_colon_leads_nowhere(self) -> None:
        files = dict.fromkeys(
            ["A: beach.jpg", "x/B:12.jpg", "10:30.jpg", "a..b.jpg", "...jpg"], b"x"
        )
        for content in (factories.zipped(files), factories.tarred(files)):
            found = taken_out(content)
            self.assertEqual(found.pop("...jpg"), archive_reader._HIDDEN)
            self.assertEqual(set(found.values()), {b"x"})

    def test_two_entries_of_one_name_are_both_taken_out(self) -> None:
        written = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as file:
            warnings.simplefilter("ignore")
            for number in range(3):
                file.writestr("a.jpg", bytes([number]))
        entries = archive_reader.read_entries(written, size_bytes=len(written.getvalue()))
        contents = []
        for entry in entries:
            unpacked = io.BytesIO()
            entry.unpack(unpacked, max_bytes=10)
            contents.append((entry.name, unpacked.getvalue()))
        self.assertEqual(contents, [("a.jpg", bytes([number])) for number in range(3)])

    def test_names_of_zips_are_readable_whatever_their_encoding(self) -> None:
        for page, names in {
            "cp437": ["Café.jpg", "Münster/Größe.jpg", "naïve ñ.jpg"],
            "cp850": ["Ação São João.jpg", "Øresund/Ærø.jpg", "Noël.jpg", "Köln.jpg", "Été.jpg"],
            "cp866": ["Пляж.jpg", "Фото 1.jpg", "Отпуск/Москва.jpg", "IMG_лето.jpg"],
            "cp932": ["写真.jpg", "夏休み/ビーチ.jpg", "東京タワー.jpg", "IMG写真1.jpg"],
            "utf-8": ["Café.jpg", "Пляж.jpg", "写真.jpg", "📷.jpg", "ελιά.jpg"],
        }.items():
            for some in (names, *([name] for name in names)):
                with self.subTest(page, names=some):
                    self.assertEqual(set(taken_out(zip_with_names(some, page))), set(some))

    def test_a_decomposed_name_of_macos_is_composed(self) -> None:
        names = ["Café.jpg", "Å.jpg"]
        decomposed = [unicodedata.normalize("NFD", name) for name in names]
        for page in ("utf-8", "flagged"):
            self.assertEqual(set(taken_out(zip_with_names(decomposed, page))), set(names))

    def test_names_of_a_tar_that_are_no_utf_8_are_readable(self) -> None:
        written = io.BytesIO()
        with tarfile.open(
            fileobj=written, mode="w", encoding="cp866", format=tarfile.GNU_FORMAT
        ) as file:
            entry = tarfile.TarInfo("Пляж.jpg")
            entry.size = 1
            file.addfile(entry, io.BytesIO(b"x"))
        self.assertEqual(taken_out(written.getvalue()), {"Пляж.jpg": b"x"})

    def test_links_and_devices_are_no_files(self) -> None:
        written = io.BytesIO()
        kinds = (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
        )
        with tarfile.open(fileobj=written, mode="w") as file:
            for number, kind in enumerate(kinds):
                entry = tarfile.TarInfo(f"{number}.jpg")
                entry.type, entry.linkname = kind, "/etc/passwd"
                file.addfile(entry)
        self.assertEqual(set(taken_out(written.getvalue()).values()), {archive_reader._NOT_A_FILE})
        info = zipfile.ZipInfo("link.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as zip:
            zip.writestr(info, "/etc/passwd")
        self.assertEqual(taken_out(written.getvalue()), {"link.jpg": archive_reader._NOT_A_FILE})

    def test_a_file_is_unpacked_as_far_as_its_bound(self) -> None:
        files = {"big.jpg": bytes(2 << 20), "small.jpg": b"x"}
        for content in (factories.zipped(files), factories.tarred(files, "w:gz")):
            found = taken_out(content)
            self.assertEqual(found["big.jpg"], f"It has more than {1 << 20} bytes.")
            self.assertEqual(found["small.jpg"], b"x")

    def test_a_bomb_goes_off_at_a_hundred_times_its_size(self) -> None:
        files = {f"{number}.jpg": bytes(8 << 20) for number in range(4)}
        for content in (factories.zipped(files), factories.tarred(files, "w:gz")):
            with (
                patch.object(archive_reader, "_SLACK_BYTES", 1 << 20),
                self.assertRaisesMessage(ArchiveError, archive_reader.BOMB),
            ):
                taken_out(content, max_bytes=100 << 20)

    def test_headers_that_are_longer_than_any_name_are_not_read(self) -> None:
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w:gz", format=tarfile.PAX_FORMAT) as file:
            entry = tarfile.TarInfo("a.jpg")
            entry.pax_headers = {"comment": "x" * (4 << 20)}
            file.addfile(entry)
        with self.assertRaises(ArchiveError):
            taken_out(written.getvalue())

    def test_entries_are_stored_or_deflated_and_others_are_skipped_alone(self) -> None:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as file:
            for method in (*archive_reader._METHODS, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                file.writestr(f"{method}.jpg", b"x" * 9, compress_type=method)
        whole, other = b"x" * 9, archive_reader._UNKNOWN_METHOD
        found = taken_out(written.getvalue())
        self.assertEqual(list(found.values()), [whole, other, other, whole])

    def test_an_archive_of_too_many_files_is_refused(self) -> None:
        files = {f"{number}.jpg": b"" for number in range(6)}
        for content in (factories.zipped(files), factories.tarred(files)):
            with (
                patch.object(archive_reader, "MAX_ENTRIES", 5),
                self.assertRaisesMessage(ArchiveError, archive_reader.TOO_MANY),
            ):
                taken_out(content)
        with (
            patch.object(archive_reader, "_MAX_DIRECTORY_BYTES", 100),
            self.assertRaisesMessage(ArchiveError, archive_reader.TOO_MANY),
        ):
            taken_out(factories.zipped(files))

    def test_whatever_is_no_archive_or_damaged_is_refused_with_a_sentence(self) -> None:
        whole = [
            factories.zipped(self.FILES),
            *(factories.tarred(self.FILES, mode) for mode in _COMPRESSED),
        ]
        bad = [
            b"",
            b"x",
            b"PK\3\4",
            bytes(100),
            *(b for _, b in hostile_files._no_images().values()),
        ]
        bad += [part for content in whole for part in image_factories.truncations(content, 8)]
        bad += [content[:half] + b"\xff" * 40 + content[half + 40 :] for content in whole[1:]
                for half in (len(content) // 2,)]  # fmt: skip
        for content in bad:
            with self.subTest(content[:16], size=len(content)):
                try:
                    taken_out(content)
                except ArchiveError as error:
                    self.assertRegex(str(error), r"^The archive .*\.$|^This is no zip|^Only zip")

    def test_a_locked_file_and_one_that_is_broken_are_skipped_alone(self) -> None:
        content = bytearray(factories.zipped({"a.jpg": os.urandom(300), "b.jpg": b"b"}))
        content[60] ^= 0xFF
        found = taken_out(bytes(content))
        self.assertEqual(found, {"a.jpg": archive_reader._DAMAGED, "b.jpg": b"b"})
        locked = factories.zipped({"a.jpg": b"a"})
        place = locked.index(b"PK\1\2") + 8
        locked = locked[:place] + b"\1" + locked[place + 1 :]
        self.assertEqual(taken_out(locked), {"a.jpg": archive_reader._LOCKED})


@override_settings(FACES_PHOTOS_EXTRACTION="off")
class UploadTests(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()
        self.files = {f"{number}.jpg": factories.jpeg(str(number)) for number in range(5)}

    def names(self) -> list[str]:
        return sorted(self.album.photos.values_list("name", flat=True))

    def test_an_archive_becomes_an_album_and_a_report_of_skipped_files(self) -> None:
        factories.photo(self.album, factories.jpeg("0"))
        odd = {
            "../x.jpg": factories.jpeg("x"),
            "notes.txt": b"x",
            "text.jpg": b"x",
            "a\nb.jpg": b"x",
        }
        upload = factories.archive(self.album, factories.tarred({**self.files, **odd}, "w:gz"))
        factories.processed(upload)
        self.assertEqual(upload.status, Status.DONE, upload.reason)
        counts = (upload.entries_count, upload.entries_seen, upload.photos_added, upload.skipped)
        self.assertEqual(counts, (9, 9, 4, 5))
        reasons = {line["name"]: line["reason"] for line in upload.report}
        self.assertEqual(reasons["0.jpg"], service.DUPLICATE)
        self.assertIn("a?b.jpg", reasons)
        self.assertEqual(reasons["../x.jpg"], archive_reader._UNSAFE_NAME)
        self.assertEqual(reasons["notes.txt"], storage.WRONG_EXTENSION)
        self.assertEqual(reasons["text.jpg"], storage.NOT_AN_IMAGE)

    def test_the_content_decides_where_a_name_names_no_other_format(self) -> None:
        names = ("a.jfif", "b", "c.JPE", "d.jpg ", ".e", "f.png", "Dr. Who")
        files = {name: factories.jpeg(name) for name in names}
        upload = factories.archive(self.album, factories.zipped(files))
        factories.processed(upload)
        reasons = {line["name"]: line["reason"] for line in upload.report}
        self.assertEqual(reasons, {".e": archive_reader._HIDDEN})

    def test_the_archive_goes_when_it_is_unpacked_and_the_album_is_shown_when_all_is_ready(
        self,
    ) -> None:
        upload = factories.archive(self.album, factories.zipped(self.files))
        file = upload.file.name or ""
        self.assertFalse(Album.objects.visible().exists())
        factories.processed(upload)
        self.assertEqual((upload.entries_count, upload.file.name), (5, ""))
        self.assertFalse(default_storage.exists(file))
        self.assertFalse(Album.objects.visible().exists())
        for photo in self.album.photos.all():
            factories.processed(photo)
        self.assertTrue(Album.objects.visible().exists())

    def test_what_is_no_archive_fails_with_its_reason_and_the_album_is_shown(self) -> None:
        upload = factories.processed(factories.archive(self.album, b"no archive"))
        self.assertEqual(
            (upload.status, upload.reason), (Status.FAILED, archive_reader.NOT_AN_ARCHIVE)
        )
        self.assertEqual(upload.file.name, "")
        self.assertTrue(Album.objects.visible().exists())

    def test_one_without_a_file_says_so(self) -> None:
        folders = io.BytesIO()
        with zipfile.ZipFile(folders, "w") as file:
            file.writestr("a/", b"")
        for content in (factories.zipped({}), factories.tarred({}), folders.getvalue()):
            upload = factories.processed(factories.archive(self.album, content))
            found = (upload.status, upload.reason)
            self.assertEqual(found, (Status.FAILED, archive_reader.EMPTY))

    def test_an_interrupted_upload_goes_on_and_nothing_comes_twice(self) -> None:
        """A worker is killed behind each of its steps."""
        content = factories.zipped({**self.files, "x.txt": b"x"})
        for step in ("stored", "insert"):
            with self.subTest(step):
                album = factories.album(step)
                upload = factories.archive(album, content)
                with self.killed_in(step, at=3), self.assertRaises(KeyboardInterrupt):
                    tasks.unpack(str(upload.pk))
                self.lose(upload)
                factories.processed(upload)
                self.assertEqual(upload.status, Status.DONE)
                self.assertEqual((upload.entries_seen, upload.photos_added), (6, 5))
                self.assertEqual((upload.skipped, len(upload.report)), (1, 1))
                self.assertEqual(album.photos.count(), 5)

    def test_a_long_upload_is_several_jobs_and_they_count_as_none_that_failed(self) -> None:
        upload = factories.archive(self.album, factories.zipped(self.files))
        jobs = 0
        while upload.status != Status.DONE:
            jobs += 1
            # Each look at the clock is 20 s later: a job gets to one file or two.
            ticks = iter(range(0, 1000, 20))
            with patch.object(time, "monotonic", lambda ticks=ticks: next(ticks)):
                factories.processed(upload)
            self.assertIn((upload.status, upload.attempts), [(Status.QUEUED, 0), (Status.DONE, 1)])
        self.assertEqual((upload.photos_added, self.album.photos.count()), (5, 5))
        self.assertGreater(jobs, 2)

    def test_a_worker_that_lost_its_claim_adds_nothing_more(self) -> None:
        upload = factories.archive(self.album, factories.zipped(self.files))
        mine = ArchiveUpload.claim(upload.pk)
        assert mine is not None
        ArchiveUpload.objects.filter(pk=upload.pk).update(claimed_by="another")
        with self.assertRaises(JobError):
            archive_import._unpack(mine)
        self.assertEqual(Photo.objects.count(), 0)

    def test_an_archive_that_is_too_large_is_refused_at_once(self) -> None:
        with (
            override_settings(FACES_MAX_ARCHIVE_BYTES=100),
            self.assertRaises(storage.UploadRejected),
        ):
            factories.archive(self.album, factories.zipped(self.files))
        self.assertFalse(Album.objects.get().is_processing)

    def test_the_sweep_ends_what_a_dead_worker_had_all_but_ended(self) -> None:
        upload = factories.archive(self.album, factories.zipped({}))
        with patch.object(archive_import, "finish"):
            factories.processed(upload)
        archive_import.sweep()
        upload.refresh_from_db()
        self.assertEqual(upload.file.name, "")
        self.assertTrue(Album.objects.visible().exists())

    def test_an_album_is_imported_from_the_disk_with_a_word_for_what_cannot_be(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "Winter.zip")
            archive.write_bytes(factories.zipped(self.files))
            call_command(
                "import_album", archive, "--no-wait", "--date=2026-01-02", stdout=StringIO()
            )
            upload = factories.processed(ArchiveUpload.objects.get())
            found = (upload.album.title, upload.album.date, upload.photos_added)
            self.assertEqual(found, ("Winter", date(2026, 1, 2), 5))
            for arguments in ([Path(folder, "none.zip")], [archive, "--album=0"]):
                with self.assertRaises(CommandError):
                    call_command("import_album", *arguments, "--no-wait", stdout=StringIO())
            with override_settings(FACES_MAX_ARCHIVE_BYTES=3), self.assertRaises(CommandError):
                call_command("import_album", archive, "--no-wait", stdout=StringIO())
        self.assertEqual((ArchiveUpload.objects.count(), Album.objects.count()), (1, 2))

    def test_a_folder_is_imported_with_what_is_in_its_folders(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "Spring")
            for name, data in {**self.files, ".hidden/x.jpg": b"x"}.items():
                path = folder / name.lstrip("/").replace("../", "")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            said = StringIO()
            call_command("import_album", folder, "--date=2026-01-02", stdout=said)
            album = Album.objects.get(title="Spring")
            self.assertEqual(album.photos.count(), 5)
            self.assertIn("5 photos", said.getvalue())
            self.assertNotIn("hidden", said.getvalue())
            again = StringIO()
            call_command("import_album", folder, f"--album={album.pk}", stdout=again)
            self.assertIn("0 photos", again.getvalue())
            with self.assertRaises(CommandError):
                call_command("import_album", folder / ".hidden", stdout=StringIO())
        self.assertEqual(Album.objects.count(), 2)

    @contextmanager
    def killed_in(self, step: str, *, at: int) -> Iterator[None]:
        """The process ends right behind the `at`th call of a step of `albums`."""
        real, calls = getattr(service, step), iter(range(1, 100))

        def killed(*args: object, **named: object) -> object:
            result = real(*args, **named)
            if next(calls) == at:
                raise KeyboardInterrupt
            return result

        with patch.object(service, step, killed):
            yield

    def lose(self, upload: ArchiveUpload) -> None:
        """Its worker is gone."""
        now = timezone.now()
        ArchiveUpload.objects.filter(pk=upload.pk).update(
            status=Status.QUEUED, claimed_by="", claimed_until=None, due_at=now
        )
