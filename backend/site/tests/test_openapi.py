"""The API's description: whole, valid, and of what there is."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from django.test import Client, SimpleTestCase
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from drf_spectacular.validation import validate_schema

from backend.site.api_docs.openapi import Generator

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_PAGES: Final = {
    *("home", "people_page", "docs", "dashboard", "dashboard_numbers", "dashboard_retry"),
    *("help", "help_page", "help_picture"),
}
"""For people, who see what there is to do."""


def document() -> dict[str, Any]:
    return Generator().get_schema(public=True)  # type: ignore[no-untyped-call]


def patterns(urls: Any) -> Iterator[URLPattern]:
    """Every pattern of the project that is not of the admin."""
    for each in urls:
        if isinstance(each, URLPattern):
            yield each
        elif isinstance(each, URLResolver) and each.namespace != "admin":
            yield from patterns(each.url_patterns)


def served() -> set[tuple[str, str]]:
    """The views of the project, by name and method."""
    found = set()
    for pattern in patterns(get_resolver().url_patterns):
        if str(pattern.pattern).startswith(("^members", "^accounts", "^_")):
            continue  # pages of members and accounts; what only nginx can ask for
        view: Any = getattr(pattern.callback, "cls", None)
        name = pattern.name or pattern.callback.__name__
        if view is not None:
            found |= {(name, method) for method in _METHODS if hasattr(view, method)}
        elif not hasattr(pattern.callback, "view_class"):
            found.add((name, "get"))
    return {(name, method) for name, method in found if name not in _PAGES}


def described(operations: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """The views that the path leads to with its parameters' examples, by name and method."""
    for method, operation in operations.items():
        examples = {
            each["name"]: str(each["example"])
            for each in operation["parameters"]
            if each["in"] == "path"
        }
        match = resolve(path.format(**examples))
        yield match.url_name or match.func.__name__, method


class DocumentTests(SimpleTestCase):
    maxDiff = None

    def test_it_is_valid_openapi_of_version_3_1(self) -> None:
        self.assertRegex(document()["openapi"], r"^3\.1\.")
        validate_schema(document())  # type: ignore[no-untyped-call]

    def test_each_endpoint_is_described_and_nothing_else(self) -> None:
        found = {
            each
            for path, operations in document()["paths"].items()
            for each in described(operations, path)
        }
        self.assertEqual(found, served())

    def test_each_operation_has_a_description_and_its_errors(self) -> None:
        for path, operations in document()["paths"].items():
            for method, operation in operations.items():
                with self.subTest(f"{method} {path}"):
                    self.assertTrue(operation["summary"])
                    self.assertTrue(operation["tags"])
                    codes = set(operation["responses"])
                    self.assertTrue(codes & {"200", "201", "202", "204"})
                    self.assertIn("405", codes)
                    if operation["security"]:
                        self.assertLessEqual({"401", "403", "429", "503"}, codes)
                    in_path = {each["name"] for each in operation["parameters"]}
                    self.assertLessEqual(set(re.findall(r"\{(\w+)\}", path)), in_path)

    def test_each_json_answer_with_content_has_an_example(self) -> None:
        lacking = [
            f"{method} {path} {code}"
            for path, operations in document()["paths"].items()
            for method, operation in operations.items()
            for code, answer in operation["responses"].items()
            for kind, content in answer.get("content", {}).items()
            if kind == "application/json" and not {"example", "examples"} & set(content)
            if path not in ("/api/schema/", "/api/asyncapi.json")
        ]
        self.assertEqual(lacking, [])

    def test_each_reference_leads_somewhere(self) -> None:
        whole = document()
        for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
            place: Any = whole
            for step in reference.split("/"):
                self.assertIn(step, place, reference)
                place = place[step]

    def test_it_is_served_in_json_and_yaml_with_and_without_the_slash(self) -> None:
        for path in ("/api/schema", "/api/schema/"):
            as_json = Client().get(path)
            self.assertEqual(as_json["Content-Type"], "application/json")
            as_yaml = Client().get(path, headers={"accept": "application/yaml"})
            self.assertEqual(yaml.safe_load(as_yaml.content), as_json.json())
            self.assertEqual(Client().get(f"{path}?format=yaml").content, as_yaml.content)

    def test_with_keys_required_it_can_still_be_read(self) -> None:
        with self.settings(FACES_REQUIRE_API_KEY=True):
            self.assertEqual(Client().get("/api/schema/").status_code, 200)
