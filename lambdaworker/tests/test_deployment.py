"""The deployment's files, as far as they can be checked without an account at AWS."""

import re
import shutil
import subprocess
import unittest
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

import yaml

from tests.repository.codebase import ROOT

TERRAFORM: Final = ROOT / "lambdaworker" / "terraform"
ROOTS: Final = ("account", "stage")
WORKFLOW: Final = ROOT / ".github" / "workflows" / "lambda.yml"


@cache
def text(root: str) -> str:
    """All files of one root without comments, as terraform reads them."""
    files = sorted((TERRAFORM / root).glob("*.tf"))
    return re.sub(r"(?m)^\s*#.*\n", "", "\n".join(file.read_text() for file in files))


def declared(root: str, kind: str) -> set[str]:
    """What blocks of `kind` name: `variable "x"` as x, `resource "t" "x"` as t.x."""
    found = re.findall(rf'(?m)^{kind} "([\w-]+)"(?: "([\w-]+)")? \{{', text(root))
    return {".".join(part for part in each if part) for each in found}


class TerraformTests(unittest.TestCase):
    def test_each_variable_that_is_used_is_declared_and_each_declared_is_used(self) -> None:
        for root in ROOTS:
            with self.subTest(root):
                used = set(re.findall(r"\bvar\.(\w+)", text(root)))
                self.assertEqual(used, declared(root, "variable"))

    def test_each_resource_that_is_referred_to_is_there(self) -> None:
        for root in ROOTS:
            with self.subTest(root):
                data = set(re.findall(r"\bdata\.(aws_\w+\.\w+)", text(root)))
                self.assertEqual(data, declared(root, "data"))
                plain = set(re.findall(r"(?<![\w.])(aws_\w+\.\w+)", text(root)))
                self.assertLessEqual(plain, declared(root, "resource"))

    def test_each_variable_and_output_says_what_it_is(self) -> None:
        for root in ROOTS:
            for kind in ("variable", "output"):
                blocks = re.findall(rf'(?m)^{kind} "(\w+)" \{{\n  (\w+)', text(root))
                self.assertTrue(blocks)
                self.assertEqual({first for _, first in blocks}, {"description"})

    def test_a_stages_values_are_of_variables_that_there_are(self) -> None:
        for stage in ("staging", "production"):
            values = (TERRAFORM / "stage" / f"{stage}.tfvars").read_text()
            named = re.findall(r"(?m)^(\w+)\s+=", values)
            self.assertLessEqual(set(named), declared("stage", "variable"))
            self.assertIn(f'stage       = "{stage}"', values)

    def test_only_the_log_in_at_the_registry_is_allowed_everywhere(self) -> None:
        blocks = (re.findall(r"statement \{.*?\n  \}", text(root), re.S) for root in ROOTS)
        statements = list(chain.from_iterable(blocks))
        everywhere = [each for each in statements if '"*"' in each]
        self.assertGreater(len(statements), 6)
        self.assertEqual(len(everywhere), 1)
        self.assertIn('actions = ["ecr:GetAuthorizationToken"]', everywhere[0])
        self.assertNotRegex("".join(statements), r'"\w+:\*"')

    def test_it_is_written_as_terraform_would_write_it(self) -> None:
        terraform = shutil.which("terraform")
        if terraform is None:
            self.skipTest("terraform is not on this machine")
        command = [terraform, f"-chdir={TERRAFORM}", "fmt", "-check", "-recursive"]
        checked = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout), (0, ""), checked.stderr)


class WorkflowTests(unittest.TestCase):
    def setUp(self) -> None:
        self.jobs = yaml.safe_load(WORKFLOW.read_text())["jobs"]

    def test_only_what_passed_an_environment_gets_a_token_for_aws(self) -> None:
        for name, job in self.jobs.items():
            with self.subTest(name):
                writes = job.get("permissions", {}).get("id-token") == "write"
                self.assertEqual(writes, job.get("environment") == name)

    def test_no_key_of_awss_lies_in_github(self) -> None:
        self.assertNotRegex(WORKFLOW.read_text(), r"(?i)secrets\.|access[-_]key")

    def test_nothing_that_somebody_typed_becomes_part_of_a_script(self) -> None:
        steps = chain.from_iterable(job["steps"] for job in self.jobs.values())
        scripts = [step["run"] for step in steps if "run" in step]
        self.assertTrue(scripts)
        self.assertEqual([each for each in scripts if "${{" in each], [])

    def test_each_script_is_one_that_bash_can_read(self) -> None:
        for job in self.jobs.values():
            for step in job["steps"]:
                if "run" in step:
                    checked = subprocess.run(["bash", "-n"], input=step["run"], text=True)
                    self.assertEqual(checked.returncode, 0, step.get("name"))

    def test_it_waits_for_its_tests_and_names_functions_as_terraform_does(self) -> None:
        self.assertEqual(self.jobs["staging"]["needs"], "test")
        name = re.search(r'name = "([\w-]+)-\$\{var\.stage\}"', text("stage"))
        assert name is not None
        for stage in ("staging", "production"):
            self.assertIn(f"function={name[1]}-{stage}", WORKFLOW.read_text())


class PathTests(unittest.TestCase):
    def test_the_page_names_files_and_settings_that_there_are(self) -> None:
        page = (ROOT / "docs" / "lambda-deployment.md").read_text()
        for name in re.findall(r"-chdir=([\w/]+)", page):
            self.assertTrue(Path(ROOT, name).is_dir(), name)
        for name in re.findall(r"`(\w+)` output|output -raw (\w+)", page):
            outputs = declared("account", "output") | declared("stage", "output")
            self.assertIn(name[0] or name[1], outputs)
