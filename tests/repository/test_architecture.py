"""Rules of the repository: permitted imports, documented settings, no stray files."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Final

from tests.repository import codebase, settings_page
from tests.repository.codebase import OURS, ROOT, Import
from tests.support import samples

_DJANGO: Final = {"django", "rest_framework", "rest_framework_api_key", "redis", "rq", "tqdm"}

# What each folder may import besides the standard library and itself: ours, and others'.
_RULES: Final[dict[str, tuple[set[str], set[str]]]] = {
    "faceengine": (
        set(),
        {"numpy", "PIL", "pillow_heif", "dlib", "_dlib_pybind11", "onnxruntime", "onnx", "tqdm"},
    ),
    "wire": (set(), set()),
    "wsserver": ({"wire"}, {"websockets", "redis", "jwt"}),
    "safe_http": ({"wire"}, {"httpcore", "certifi", "idna"}),
    "lambdaworker": ({"faceengine", "safe_http", "wire"}, {"numpy", "PIL", "sentry_sdk"}),
    "backend/common": (
        {"safe_http", "wire", "backend.databases"},
        _DJANGO
        | {"sentry_sdk", "prometheus_client", "drf_spectacular"}
        | {"boto3", "botocore", "storages"},
    ),
    "backend/clients": (
        {"backend.common", "wire"},
        _DJANGO | {"jwt", "django_rq", "drf_spectacular"},
    ),
    "backend/accounts": (
        {"backend.common", "backend.clients", "wire"},
        _DJANGO | {"allauth", "cryptography"},
    ),
    "backend/webhooks": (
        {"backend.common", "backend.clients", "wire"},
        _DJANGO | {"drf_spectacular"},
    ),
    "backend/analysis": (
        {"backend.common", "backend.clients", "faceengine", "wire"},
        _DJANGO | {"numpy", "pgvector", "psycopg", "PIL", "drf_spectacular"},
    ),
}
_FEATURE: Final = (
    {
        "backend.common",
        "backend.clients",
        "backend.accounts.second_factor",
        "backend.webhooks.services",
        "backend.webhooks.models",
        # The interface to analyses; the column of an encoding; the search for the nearest; groups.
        "backend.analysis.services",
        "backend.analysis.serializers",
        "backend.analysis.fields",
        "backend.analysis.nearest",
        "backend.analysis.chinese_whispers",
        "wire",
    },
    _DJANGO | {"numpy", "drf_spectacular"},
)
_FEATURES: Final = ("submissions", "face_encodings", "recognition", "photos", "site")
# What one of them alone needs: photos makes thumbnails, and asks AWS Lambda; site renders docs/.
_BESIDES: Final = {
    "photos": {"PIL", "boto3", "botocore"},
    "recognition": {"cachetools"},
    "site": {"markdown"},
}

# The layers inside each app, the lowest first: an import goes to its own room (a module or package
# of the app's folder) or to a lower layer, never to a sibling.
_LAYERS: Final[dict[str, tuple[set[str], ...]]] = {
    "common": (
        {
            *("redis_clients", "storage", "observability", "openapi", "checks", "bounded_json"),
            "submitted_images",
            *("redis_values", "normalization"),
        },
        {"image_downloads", "metrics", "commands"},
        {"jobs", "apps"},
        {"http", "event_stream"},
        {"health"},
        {"migration"},
        {"management"},
    ),
    "clients": (
        {"models"},
        {"serializers", "audit", "caller", "metrics", "apps"},
        {"keys"},
        {"limits", "erasure"},
        {"auth", "admin_site", "tasks"},
        {"admin", "views", "management"},
        {"urls"},
    ),
    "accounts": (
        {"encryption", "second_factor", "links"},
        {"forms", "adapters"},
        {"views", "staff", "management", "apps"},
        {"urls"},
    ),
    "webhooks": (
        {"models", "signatures"},
        {"services"},
        {"serializers", "tasks", "admin"},
        {"views", "management", "apps"},
        {"urls"},
    ),
    "analysis": (
        {"detectors", "encoders"},
        {
            *("fields", "pgvector_extension", "nearest", "chinese_whispers", "metrics"),
            "serializers",
        },
        {"models"},
        {"retention", "admin", "marks"},
        {"compute"},
        {"results", "batches", "pictures"},
        {"services"},
        {"tasks", "apps"},
    ),
    "submissions": (
        {"models", "metrics"},
        {"events", "retention"},
        {"services"},
        {"corrections"},
        {"serializers", "tasks", "admin", "management"},
        {"views", "apps"},
        {"urls"},
    ),
    "face_encodings": (
        {"models"},
        {"statistics", "caching"},
        {"services"},
        {"verification", "serializers", "tasks", "management"},
        {"batch", "admin"},
        {"views", "apps"},
        {"urls"},
    ),
    "recognition": (
        {"models", "contract"},
        {"gallery", "admin"},
        {"transfer"},
        {"operations"},
        {"api", "tasks", "notifications", "withdrawal"},
        {"rest", "management", "apps"},
        {"urls"},
    ),
    "photos": (
        {"models", "forms", "pagination"},
        {"files", "similarity"},
        {"albums", "clustering"},
        {"matching"},
        {"members", "extraction"},
        {"access", "status"},
        {"rest", "web", "media", "admin", "tasks", "management"},
        {"urls", "apps"},
    ),
    "site": ({"dashboard", "api_docs", "help", "views", "apps"}, {"urls"}),
    "wsserver": (
        {"request", "stream"},
        {"delivery", "metrics"},
        {"handshake"},
        {"service"},
        {"main"},
        {"__main__"},
    ),
}
_WITH_LAYERS: Final = ("backend", "wsserver")

# Only these read the environment. The others' reading is Django's own variable, or is for people.
_READS_ENVIRONMENT: Final = {
    "backend/env.py",
    "backend/wsgi.py",
    "manage.py",
    "wire/environment.py",
    "wsserver/main.py",
    "lambdaworker/handler.py",
}

# The user's cache folder and compiler, and options of a library: not settings of the service.
_NOT_OURS: Final = r'"(XDG_CACHE_HOME|CXX|ORT_\w+)"'

_MAX_LINES: Final = 500


class ImportTests(unittest.TestCase):
    maxDiff = None

    def test_each_folder_imports_only_permitted_folders(self) -> None:
        ours, others = _FEATURE
        rules = _RULES | {
            f"backend/{name}": (ours, others | _BESIDES.get(name, set())) for name in _FEATURES
        }
        wrong = [
            str(each)
            for folder, (ours, others) in rules.items()
            for path in codebase.python_files(folder)
            for each in codebase.imports(path)
            if not is_allowed(each, folder.replace("/", "."), ours, others)
        ]
        self.assertEqual(wrong, [])

    def test_nothing_outside_analysis_imports_the_engine_into_django(self) -> None:
        wrong = [
            str(each)
            for path in codebase.python_files("backend")
            if not path.is_relative_to(ROOT / "backend" / "analysis")
            for each in codebase.imports(path)
            if each.top == "faceengine"
        ]
        self.assertEqual(wrong, [])

    def test_inside_an_app_imports_go_to_a_lower_layer(self) -> None:
        wrong = {
            (layer_of(each.path), each.name)
            for folder in _WITH_LAYERS
            for path in codebase.python_files(folder)
            for each in codebase.imports(path)
            if is_upward(each)
        }
        arrows = {(room, name.removeprefix("backend.").split(".")[1]) for room, name in wrong}
        self.assertEqual(arrows, set(), wrong)

    def test_each_room_of_an_app_has_a_layer(self) -> None:
        paths = [path for folder in _WITH_LAYERS for path in codebase.python_files(folder)]
        rooms = {room_of(path) for path in paths} - {None}
        known = {(app, room) for app, layers in _LAYERS.items() for room in set().union(*layers)}
        self.assertEqual((rooms - known, known - rooms), (set(), set()))

    def test_an_upward_import_inside_a_package_is_found(self) -> None:
        storage = ROOT / "backend" / "photos" / "files" / "storage.py"
        for name, found in {
            "backend.photos.matching.jobs.match": True,
            "backend.photos.similarity.search": True,
            "backend.photos.files.renditions": False,
            "backend.photos.models.Photo": False,
            "backend.common.http.errors": False,
        }.items():
            with self.subTest(name):
                self.assertEqual(is_upward(Import(storage, 1, name)), found)

    def test_no_modules_import_each_other_in_a_circle(self) -> None:
        self.assertEqual(import_circles(codebase.import_graph()), [])

    def test_a_circle_of_imports_is_found_also_a_long_one(self) -> None:
        graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
        self.assertEqual(import_circles(graph), [["a", "b", "c"]])

    def test_there_are_no_signals_between_our_own_apps(self) -> None:
        modules = ("django.dispatch", "django.db.models.signals", "django.core.signals")
        # Sent by `migrate` to an app about itself, after which no other app is called.
        harmless = "django.db.models.signals.post_migrate"
        wrong = [
            str(each)
            for path in codebase.python_files("backend")
            for each in codebase.imports(path)
            if each.name.startswith(modules) and each.name != harmless
        ]
        self.assertEqual(wrong, [])

    def test_the_product_does_not_import_its_tests(self) -> None:
        wrong = [
            str(each)
            for folder in set(OURS) - {"tests", "benchmarks"}
            for path in codebase.python_files(folder)
            for each in codebase.imports(path)
            if each.top in ("tests", "benchmarks")
        ]
        self.assertEqual(wrong, [])

    def test_code_in_strings_imports_modules_that_are_there(self) -> None:
        every = [
            each
            for path in codebase.files()
            if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in OURS
            for each in codebase.imports_in_strings(path)
        ]
        self.assertIn("backend.wsgi.application", {each.name for each in every})
        self.assertEqual([str(each) for each in every if not codebase.is_there(each.name)], [])

    def test_the_environment_is_read_where_settings_are(self) -> None:
        wrong = [
            str(path.relative_to(ROOT))
            for folder in set(OURS) - {"tests", "benchmarks", "tools"}
            for path in codebase.python_files(folder)
            for line in path.read_text().splitlines()
            if re.search(r"\bos\.(environ|getenv)\b", line) and not re.search(_NOT_OURS, line)
        ]
        self.assertEqual(sorted(set(wrong) - _READS_ENVIRONMENT), [])

    def test_the_web_process_takes_an_upload_without_the_engines_libraries(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder, "image.jpg")
            picture.write_bytes(samples.no_face())
            environ = {**os.environ, "STORAGE_DIR": folder, "DJANGO_ALLOWED_HOSTS": "testserver"}
            command = [sys.executable, "-c", _UPLOAD, str(picture)]
            ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        self.assertEqual(
            (ran.stdout.splitlines()[-1:], ran.returncode), (["202 []"], 0), ran.stderr
        )


_UPLOAD: Final = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.settings"
from backend.wsgi import application
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
with open(sys.argv[1], "rb") as file:
    response = Client().post("/image/", {"image": file})
heavy = ("dlib", "_dlib_pybind11", "onnxruntime", "onnx", "face_recognition")
print(response.status_code, [name for name in heavy if name in sys.modules])
"""


def is_allowed(each: Import, own: str, ours: set[str], others: set[str]) -> bool:
    if each.top in OURS:
        return any(f"{each.name}.".startswith(f"{name}.") for name in (own, *ours))
    return codebase.is_standard(each.top) or each.top in others


def room_of(path: Path) -> tuple[str, str] | None:
    """The app and the room that a module lies in; None for what is in no room of an app."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] not in _WITH_LAYERS:
        return None
    app, room, *_ = (*parts[parts[0] == "backend" :], "", "")
    return None if room in ("", "__init__") else (app, room)


def layer_of(path: Path) -> str:
    return ".".join(room_of(path) or ())


def is_upward(each: Import) -> bool:
    """Whether an import inside an app goes to a sibling or to a higher layer."""
    room, parts = room_of(each.path), each.name.removeprefix("backend.").split(".")
    if room is None or parts[0] != room[0] or parts[1:2] in ([], [room[1]]):
        return False
    layers = {name: level for level, names in enumerate(_LAYERS[room[0]]) for name in names}
    return layers[parts[1]] >= layers[room[1]]


def import_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or by way of others (lazily too)."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            new = graph[left.pop()] - seen
            seen |= new
            left += new
        return seen

    reach = {name: reached(name) for name in graph}
    circles = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in graph
        if name in reach[name]
    }
    return [list(circle) for circle in sorted(circles)]


class SettingTests(unittest.TestCase):
    def setUp(self) -> None:
        self.settings = codebase.default_env()
        self.of_django = codebase.names_in(
            ROOT / "backend" / "settings.py", r'env\.\w+\(\s*"([A-Z][A-Z0-9_]+)"'
        )

    def test_each_setting_is_documented_with_its_default(self) -> None:
        rows = codebase.names_in(settings_page.PAGE, r"^\| `([A-Z][A-Z0-9_]+)` \|")
        self.assertEqual(rows, self.settings)
        help = "run `python -m tests.repository.settings_page`"
        self.assertEqual(settings_page.PAGE.read_text(), settings_page.page(), help)

    def test_each_setting_has_a_meaning_and_each_warning_a_setting(self) -> None:
        meanings = [each for _, part in settings_page.sections() for each in part]
        self.assertEqual([each.name for each in meanings if not each.meaning], [])
        self.assertEqual(set(settings_page.UNSAFE) - set(self.settings), set())

    def test_each_setting_of_django_is_in_default_env_in_the_same_order(self) -> None:
        shared = [name for name in self.settings if name in self.of_django]
        self.assertEqual(self.of_django, shared)

    def test_each_setting_is_read_somewhere_and_each_that_is_read_is_there(self) -> None:
        server = codebase.names_in(
            ROOT / "wsserver" / "main.py", r'read(?:\.\w+\(|, )"([A-Z][A-Z0-9_]+)"'
        )
        tools = [
            name
            for path in codebase.python_files("tools")
            for name in codebase.names_in(path, r'environ\["([A-Z][A-Z0-9_]+)"\]')
        ]
        read = {*self.of_django, *server, *tools}
        self.assertEqual(set(self.settings) - read, set(), "in default.env, but read nowhere")
        self.assertEqual(read - set(self.settings), set(), "read, but not in default.env")


class FileTests(unittest.TestCase):
    def test_no_file_names_where_packages_come_from(self) -> None:
        # The brackets keep this line from being found itself.
        hosts = r"py[p]i\.org|python[h]osted\.org|npm[j]s\.org"
        options = r"--(extra-)?index[-]url|--trusted[-]host|--find[-]links"
        self.assertEqual(self.containing(f"{hosts}|{options}"), [])

    def test_no_file_names_a_folder_of_one_machine(self) -> None:
        self.assertEqual(self.containing(r"(?<![\w.~$}/])/(?:work|root|home/\w+)/" r"\w"), [])

    def test_no_photograph_is_in_the_repository(self) -> None:
        pictures = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic"}
        allowed = (ROOT / "docs" / "pictures", ROOT / "static")
        wrong = [
            str(path.relative_to(ROOT))
            for path in codebase.files()
            if path.suffix.lower() in pictures | {".avif", ".heif"}
            if not any(path.is_relative_to(folder) for folder in allowed)
        ]
        self.assertEqual(wrong, [])

    def test_no_source_file_is_longer_than_500_lines(self) -> None:
        suffixes = (".py", ".cpp", ".h", ".js", ".conf", ".sh")
        long = {
            str(path.relative_to(ROOT)): lines
            for path in codebase.files()
            if path.suffix in suffixes and (lines := path.read_text().count("\n")) > _MAX_LINES
        }
        self.assertEqual(long, {})

    def test_each_requirement_is_pinned_with_its_hash(self) -> None:
        for lock in (ROOT / "requirements").glob("*.txt"):
            with self.subTest(lock.name):
                entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", lock.read_text()))
                for entry in entries:
                    if entry.strip():
                        self.assertRegex(entry, r"^[\w.\[\]-]+==[\w.!+-]+")
                        self.assertIn("--hash=sha256:", entry)

    def containing(self, pattern: str) -> list[str]:
        """`file:line` of each match in a text file."""
        found = []
        for path in codebase.files():
            try:
                text = path.read_text()
            except UnicodeDecodeError:
                continue
            for number, line in enumerate(text.splitlines(), 1):
                if re.search(pattern, line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
        return found
