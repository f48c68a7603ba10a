"""`deploy/kubernetes/`: valid by the API, safe, and true to settings, commands and metrics."""

import re
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support import prerequisites
from tools import healthcheck
from tools.shell import ROOT
from wire import environment
from wire.release import VERSION

BASE: Final = ROOT / "deploy" / "kubernetes" / "base"
EXAMPLE: Final = ROOT / "deploy" / "kubernetes" / "example"

RELEASES: Final = ("1.30.0", "1.37.0")
"""Of Kubernetes: an old one that is in use, and the newest that the package knows."""

Manifest = dict[str, Any]


def objects(folder: Path) -> list[Manifest]:
    """All objects that the folder's kustomization lists, without those of other folders."""
    listed = kustomization(folder)["resources"]
    texts = [(folder / name).read_text() for name in listed if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text)]


def kustomization(folder: Path) -> Manifest:
    read: Manifest = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return read


def every() -> list[Manifest]:
    return [*objects(BASE), *objects(EXAMPLE)]


def label(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The name of the owner and the pod's `spec`, of each object that makes pods."""
    for each in manifests:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield label(each), spec["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", []), *pod["containers"]]


class SchemaTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        prerequisites.require("lint")
        super().setUpClass()

    def test_each_object_is_valid_and_has_no_unknown_field(self) -> None:
        import kubernetes_validate

        for each in every():
            if each["apiVersion"].startswith("keda.sh/"):
                continue  # no part of the API: see ScalerTests
            for release in RELEASES:
                with self.subTest(label(each), release=release):
                    kubernetes_validate.validate(each, release, strict=True)

    def test_a_misspelt_field_is_found(self) -> None:
        import kubernetes_validate

        (job,) = (each for each in objects(BASE) if each["kind"] == "Job")
        job["spec"]["backofLimit"] = 1
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(job, RELEASES[-1], strict=True)

    def test_every_file_is_listed(self) -> None:
        for folder in (BASE, EXAMPLE):
            there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
            listed = {name for name in kustomization(folder)["resources"] if name != "../base"}
            self.assertEqual(listed, there)


class PodTests(unittest.TestCase):
    def test_no_container_has_more_rights_than_it_needs(self) -> None:
        for owner, pod in pods(objects(BASE)):
            with self.subTest(owner):
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                for each in containers(pod):
                    rights = each["securityContext"]
                    self.assertIs(rights["readOnlyRootFilesystem"], True)
                    self.assertIs(rights["allowPrivilegeEscalation"], False)
                    self.assertEqual(rights["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", each["resources"]["limits"])

    def test_each_mount_has_its_volume(self) -> None:
        for owner, pod in pods(objects(BASE)):
            volumes = {each["name"] for each in pod["volumes"]}
            mounted = {m["name"] for each in containers(pod) for m in each["volumeMounts"]}
            self.assertEqual(mounted, volumes, owner)

    def test_each_deployment_has_probes_and_a_disruption_budget(self) -> None:
        made = objects(BASE)
        names = {e["metadata"]["name"] for e in made if e["kind"] == "Deployment"}
        budgets = {e["metadata"]["name"] for e in made if e["kind"] == "PodDisruptionBudget"}
        self.assertEqual(budgets, names)
        for owner, pod in pods([each for each in made if each["kind"] == "Deployment"]):
            (container,) = pod["containers"]
            with self.subTest(owner):
                self.assertIn("startupProbe", container)
                self.assertIn("livenessProbe", container)

    def test_the_programs_that_are_named_exist(self) -> None:
        for owner, pod in pods(objects(BASE)):
            for each in containers(pod):
                text = " ".join(each["command"])
                for module in re.findall(r"python -m ([\w.]+)", text):
                    path = ROOT / module.replace(".", "/")
                    self.assertTrue(path.with_suffix(".py").exists() or path.is_dir(), owner)
                probes = [each.get(f"{kind}Probe", {}) for kind in ("startup", "liveness")]
                for command in (probe["exec"]["command"] for probe in probes if "exec" in probe):
                    self.assertEqual(command[:3], ["python", "-m", "tools.healthcheck"])
                    self.assertIn(command[3], healthcheck._PROBES)


class SettingTests(unittest.TestCase):
    def test_the_overlay_sets_only_settings_that_exist(self) -> None:
        for name in ("settings.env", "secrets.env.example"):
            lines = (EXAMPLE / name).read_text().splitlines()
            names = {line.partition("=")[0] for line in lines if line and line[0] != "#"}
            self.assertEqual(names - set(environment.defaults()), set())

    def test_what_is_secret_is_in_no_file_that_is_committed(self) -> None:
        secret = re.compile(r"(?m)^(?:DJANGO_SECRET_KEY|AWS_SECRET_ACCESS_KEY)=\S")
        for path in (ROOT / "deploy").rglob("*.*"):
            self.assertNotRegex(path.read_text(), secret)
        self.assertIn("deploy/kubernetes/*/secrets.env", (ROOT / ".gitignore").read_text())

    def test_the_example_runs_the_image_of_this_version(self) -> None:
        tags = {each["name"]: each["newTag"] for each in kustomization(EXAMPLE)["images"]}
        self.assertEqual(tags["faces"], VERSION)
        used = {each["image"] for _, pod in pods(objects(BASE)) for each in containers(pod)}
        self.assertEqual(used, set(tags))

    def test_each_patch_has_a_target(self) -> None:
        there = {(each["kind"], each["metadata"]["name"]) for each in objects(BASE)}
        for patch in kustomization(EXAMPLE)["patches"]:
            self.assertIn((patch["target"]["kind"], patch["target"]["name"]), there)
            yaml.safe_load(patch["patch"])


class ScalerTests(unittest.TestCase):
    def test_it_scales_the_workers_by_metrics_that_exist(self) -> None:
        (scaler,) = (each for each in objects(BASE) if each["kind"] == "ScaledObject")
        spec = scaler["spec"]
        self.assertEqual(spec["scaleTargetRef"], {"name": "worker"})
        self.assertLess(spec["minReplicaCount"], spec["maxReplicaCount"])
        (worker,) = (each for each in objects(BASE) if label(each) == "Deployment worker")
        self.assertNotIn("replicas", worker["spec"], "the scaler and a rollout would disagree")
        declared = (ROOT / "docs" / "metrics.md").read_text()
        named = [re.findall(r"faces_\w+", each["metadata"]["query"]) for each in spec["triggers"]]
        self.assertEqual(len(named), 2)
        for metric in (name for names in named for name in names):
            self.assertIn(f"| `{metric}` | gauge |", declared)
