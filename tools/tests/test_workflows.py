"""The workflows of a forge: they run what runs here, and a release has our version."""

import os
import re
import subprocess
import tempfile
import unittest
from typing import Any, Final

import yaml

from tools.shell import ROOT
from wire.release import VERSION

FOLDER: Final = ROOT / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return read


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


class WorkflowTests(unittest.TestCase):
    def test_every_change_and_every_release_runs_the_checks(self) -> None:
        self.assertIn("bash .ci/run", commands(workflow("ci")["jobs"]["checks"]))
        release = workflow("release")["jobs"]
        self.assertEqual(release["checks"]["uses"], "./.github/workflows/ci.yml")
        self.assertIn("checks", release["images"]["needs"])
        # YAML reads the key `on` as a boolean.
        triggers: Any = workflow("ci")
        self.assertIn("workflow_call", triggers[True])

    def test_every_image_of_the_dockerfile_is_built(self) -> None:
        stages = re.findall(r"(?m)^FROM \S+ AS ([\w-]+)$", (ROOT / "Dockerfile").read_text())
        images = [each for each in stages if "build" not in each and each != "compiler"]
        built = workflow("ci")["jobs"]["images"]["strategy"]["matrix"]["target"]
        self.assertEqual(built, images)
        released = workflow("release")["jobs"]["images"]["strategy"]["matrix"]["include"]
        self.assertLessEqual({each["target"] for each in released}, set(images))

    def test_shell_of_every_step_can_be_read(self) -> None:
        for path in FOLDER.glob("*.yml"):
            for job in workflow(path.stem)["jobs"].values():
                for command in commands(job) if "steps" in job else ():
                    with self.subTest(path.name, command=command):
                        script = re.sub(r"\$\{\{.*?\}\}", "value", command)
                        read = subprocess.run(
                            ["bash", "-n"], input=script, capture_output=True, text=True
                        )
                        self.assertEqual(read.stderr, "")

    def test_every_job_has_a_time_limit_and_no_right_that_it_need_not(self) -> None:
        for path in FOLDER.glob("*.yml"):
            self.assertEqual(workflow(path.stem)["permissions"], {"contents": "read"})
            for name, job in workflow(path.stem)["jobs"].items():
                with self.subTest(f"{path.name}: {name}"):
                    self.assertTrue("timeout-minutes" in job or "uses" in job)

    def test_a_tag_that_is_not_the_version_is_refused(self) -> None:
        (script,) = commands(workflow("release")["jobs"]["version"])
        for tag, expected in ((f"v{VERSION}", f"number={VERSION}\n"), ("v999.0", "")):
            with self.subTest(tag), tempfile.NamedTemporaryFile() as output:
                environ = {**os.environ, "GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": output.name}
                ran = subprocess.run(
                    ["bash", "-e", "-c", script], cwd=ROOT, env=environ, capture_output=True
                )
                self.assertEqual(ran.returncode == 0, bool(expected), ran.stderr)
                self.assertEqual(output.read().decode(), expected)

    def test_a_release_publishes_the_changelogs_part_of_the_version(self) -> None:
        (notes,) = commands(workflow("release")["jobs"]["notes"])
        awk = notes.splitlines()[0].partition(" > ")[0]
        shown = subprocess.run(
            ["bash", "-c", awk], env={"NUMBER": VERSION}, cwd=ROOT, capture_output=True, text=True
        )
        part = (ROOT / "CHANGELOG.md").read_text().partition(f"## {VERSION} ")[2]
        part = part.partition("\n")[2].partition("\n## ")[0]
        self.assertIn("- ", part)
        self.assertEqual(shown.stdout.strip(), part.strip())

    def test_no_file_names_a_registry_of_images(self) -> None:
        release = (FOLDER / "release.yml").read_text()
        self.assertEqual(re.findall(r"\b[\w-]+\.(?:io|com|org)/", release), [])
        self.assertIn("vars.FACES_REGISTRY", release)
