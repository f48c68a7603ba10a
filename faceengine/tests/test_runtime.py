"""Loading: lazy, once, as configured, and shared by forked workers."""

import os
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import faceengine
from faceengine import runtime
from tests.support import image_factories


def python(script: str, *arguments: str) -> str:
    """What `script` prints in a process of its own."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class ImportTest(unittest.TestCase):
    HEAVY = "dlib", "_dlib_pybind11", "onnxruntime", "onnx", "numpy", "pillow_heif"

    def test_a_process_that_checks_uploads_never_loads_the_engine(self) -> None:
        script = (
            "import sys, faceengine\n"
            "faceengine.check_image(sys.argv[1])\n"
            "faceengine.draw_boxes(faceengine.load_image(sys.argv[1]), [])\n"
            f"print([name for name in {self.HEAVY!r} if name in sys.modules])"
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "photo.jpg")
            file.write_bytes(image_factories.encoded(image_factories.portrait(width=64)))
            self.assertEqual(python(script, str(file)), "[]")

    def test_a_filled_cache_needs_no_onnx_and_never_face_recognition(self) -> None:
        others = "face_recognition", "face_recognition_models", "pkg_resources", "onnx"
        script = (
            "import sys, faceengine\n"
            "faceengine.configure(model_cache=sys.argv[1])\n"
            "faceengine.load('cnn'), faceengine.load('hog')\n"
            f"print([name for name in {others!r} if name in sys.modules])"
        )
        # A cache of its own: where the models of this machine are is not known to every process.
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(python(script, folder), "['onnx']")
            self.assertEqual(python(script, folder), "[]")

    def test_the_runtime_leaves_no_mark_for_its_telemetry(self) -> None:
        """It keeps a number for this machine in the home folder before it reports to its makers."""
        with tempfile.TemporaryDirectory() as home:
            environ = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
            environ |= {"HOME": home, "XDG_CACHE_HOME": f"{home}/.cache"}
            script = "import faceengine; faceengine.load()"
            subprocess.run([sys.executable, "-c", script], check=True, env=environ)
            self.assertEqual(list(Path(home).rglob("*deviceid*")), [])

    def test_every_public_name_is_there(self) -> None:
        for name in faceengine.__all__:
            self.assertIsNotNone(getattr(faceengine, name))
        with self.assertRaises(AttributeError):
            faceengine.nonsense  # noqa: B018


class ConfigureTest(unittest.TestCase):
    def setUp(self) -> None:
        before = runtime._settings
        self.addCleanup(setattr, runtime, "_settings", before)
        self.addCleanup(runtime._loaded.clear)

    def test_a_provider_that_is_not_installed_is_named_with_its_package(self) -> None:
        for name, package in (("cuda", "onnxruntime-gpu"), ("openvino", "onnxruntime-openvino")):
            faceengine.configure(providers=[name])
            with self.assertRaisesRegex(faceengine.ModelError, f"{name}.*{package}"):
                faceengine.load()

    def test_nonsense_is_refused(self) -> None:
        for providers in (["gpu"], []):
            with self.assertRaises(ValueError):
                faceengine.configure(providers=providers)
        with self.assertRaises(ValueError):
            faceengine.configure(threads=0)

    def test_the_models_go_where_they_are_told_to(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            faceengine.configure(model_cache=folder)
            faceengine.load("cnn")
            self.assertEqual(len(list(Path(folder).glob("*.onnx"))), 3)

    def test_what_is_not_named_stays(self) -> None:
        faceengine.configure(threads=2)
        faceengine.configure(providers=["cpu"])
        self.assertEqual(runtime._settings.threads, 2)


class SharedTest(unittest.TestCase):
    def test_threads_that_come_together_load_once(self) -> None:
        loads: list[int] = []
        barrier = threading.Barrier(4)

        def load() -> object:
            loads.append(1)
            return object()

        def work() -> None:
            barrier.wait()
            runtime.once("test", load)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.addCleanup(runtime._loaded.pop, "test")
        self.assertEqual(len(loads), 1)

    def test_forked_workers_use_what_their_parent_loaded(self) -> None:
        image = image_factories.portrait(width=200)
        (expected,) = faceengine.find_faces(image)
        faceengine.find_faces(image, "cnn")
        loaded = set(map(id, runtime._loaded.values()))
        children = []
        for detector in ("hog", "cnn", "hog"):
            child = os.fork()
            if child == 0:
                try:
                    (face,) = faceengine.find_faces(image, detector)
                    assert face.encoding is not None and expected.encoding is not None
                    near = faceengine.distance(face.encoding, expected.encoding) < 0.3
                    same = set(map(id, runtime._loaded.values())) == loaded
                    os._exit(0 if near and same else 1)
                finally:
                    os._exit(2)
            children.append(child)
        statuses = [os.waitpid(child, 0)[1] for child in children]
        self.assertEqual(statuses, [0, 0, 0])

    def test_a_fork_while_another_thread_loads_does_not_hang(self) -> None:
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with runtime._lock:
                held.set()
                done.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        child = os.fork()
        if child == 0:
            runtime.once("forked", object)
            os._exit(0)
        done.set()
        thread.join()
        self.assertEqual(os.waitpid(child, 0)[1], 0)


if __name__ == "__main__":
    unittest.main()
