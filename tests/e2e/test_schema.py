"""The API's description is true: the running service is asked everything that it promises."""

import hashlib
from typing import Any, ClassVar, Final

import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from tests.support import samples
from tests.support.stack import Stack, local_session
from tests.support.stack_case import StackCase

Operation = APIOperation[Any, Any, Any, Any]

_EXAMPLES: Final = 12
"""For each operation and each of the two kinds of data: it bounds how long this takes."""

_TOO_LONG: Final = 7_000
"""nginx refuses longer addresses and headers, in our shape, on behalf of every operation."""

_HOLDS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]

_REFUSES_BAD_BODIES: Final = ("image_upload", "encode", "encode_batch", "verify")
"""Here whatever the description forbids is refused; elsewhere more may be asked than is looked
at: an unknown parameter changes nothing."""

_OF_ITS_OWN_CLIENT: Final = "client_erase"
"""Takes everything from its client, so that is not the one that the others ask for."""

_ERASES: Final = ("image_erase", "encoding_erase", _OF_ITS_OWN_CLIENT)
"""Not to be asked of what other tests need."""


class SchemaTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "workers": 1}
    keys: ClassVar[dict[str, str]]
    operations: ClassVar[dict[str, Operation]]
    known: ClassVar[dict[str, str]]
    of_member: ClassVar[dict[str, str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.keys = {name: key_of(cls.stack, name) for name in ("alice", "bob")}
        cls.of_member = session_of(cls.stack)
        document = strict(cls.stack.get("/api/schema/").json())
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=cls.stack.url)
        cls.operations = {}
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result.err()
            cls.operations[result.ok().definition.raw["operationId"]] = result.ok()
        id = cls.ask("image_upload", files={"image": ("a.jpg", samples.face())}).json()["id"]
        cls.stack.wait_until_ended([id])
        sha256 = hashlib.sha256(samples.face()).hexdigest()
        cls.known = {"id": id, "sha256": sha256, "first": id[:2], "second": id[2:4]}

    @classmethod
    def ask(cls, id: str, *, path: dict[str, str] | None = None, **options: Any) -> Any:
        """A request as a client would make it, whose answer is held against the description."""
        operation = cls.operations[id]
        headers = {**cls.headers(id), **options.pop("headers", {})}
        filled = operation.path.format(**(path or {}))
        answer = cls.stack.request(operation.method, filled, headers=headers, **options)
        operation.validate_response(answer)
        return answer

    @classmethod
    def headers(cls, id: str) -> dict[str, str]:
        if {"session": []} in cls.operations[id].definition.raw["security"]:
            return cls.of_member
        who = "bob" if id == _OF_ITS_OWN_CLIENT else "alice"
        return {"Authorization": f"Bearer {cls.keys[who]}"}

    def test_requests_of_a_client_are_answered_as_described(self) -> None:
        files = {"upload_file": ("a.jpg", samples.face())}
        two = [("upload_file", ("a.jpg", samples.face())), ("upload_file", ("b.png", b"nothing"))]
        encoded = self.ask("encode", files=files).json()
        numbers = encoded["face_encoding"]
        etag = self.ask("encoding", path=self.known).headers["ETag"]
        sides = {"hash_1": self.known["sha256"], "encoding_2": numbers}
        asked: list[tuple[str, int, dict[str, Any]]] = [
            ("image_status", 200, {"path": self.known}),
            ("image_faces", 200, {"path": self.known}),
            ("image_original", 200, {"path": self.known}),
            ("image_result", 200, {"path": self.known}),
            ("image_upload", 400, {"files": {"image": ("a.png", b"nothing")}}),
            ("image_upload", 401, {"headers": {"Authorization": "Bearer a.b"}}),
            ("encode", 422, {"files": {"upload_file": ("a.jpg", samples.no_face())}}),
            ("encode_batch", 200, {"files": two}),
            ("encoding", 304, {"path": self.known, "headers": {"If-None-Match": etag}}),
            ("encoding", 412, {"path": self.known, "headers": {"If-Match": '"other"'}}),
            ("statistics", 200, {}),
            ("verify", 200, {"json": sides}),
            ("verify", 400, {"json": {"hash_1": "x"}}),
            ("verify", 422, {"json": {**sides, "hash_1": "0" * 64}}),
            ("client", 200, {}),
            ("consent", 200, {}),
            ("opt_in", 200, {}),
            ("albums", 200, {}),
            ("album_make", 201, {"json": {"title": "Summer", "date": "2026-01-02"}}),
            ("member_status", 200, {}),
            ("gallery_users", 200, {}),
            ("delete_user", 200, {"path": {"user_id": "1"}}),
            ("search", 200, {"json": {"encoding": numbers}}),
            ("extraction_wanted", 404, {"path": {"type": "photo", "pk": "7"}}),
            ("metrics", 200, {}),
            ("readiness", 200, {}),
            ("schema", 200, {"headers": {"Accept": "application/yaml"}}),
        ]
        for id, status, options in asked:
            with self.subTest(id, status=status):
                self.assertEqual(self.ask(id, **options).status_code, status)

    def test_generated_requests_are_answered_as_described(self) -> None:
        for id, operation in self.operations.items():
            for mode in GenerationMode:
                with self.subTest(id, mode=mode.value):
                    self.probe(id, operation, mode)

    def test_generated_requests_for_existing_resources_are_answered_as_described(self) -> None:
        for id, operation in self.operations.items():
            of_path = [each.name for each in operation.path_parameters]
            if of_path and set(of_path) <= set(self.known) and id not in _ERASES:
                known = {name: self.known[name] for name in of_path}
                with self.subTest(id):
                    self.probe(id, operation, GenerationMode.POSITIVE, path_parameters=known)

    def probe(self, id: str, operation: Operation, mode: GenerationMode, **fixed: Any) -> None:
        """Ask the operation what fits its description, or what does not."""
        cases = operation.as_strategy(generation_mode=mode, **fixed)
        held = list(_HOLDS)
        if mode is GenerationMode.NEGATIVE and id in _REFUSES_BAD_BODIES:
            held.append(checks.negative_data_rejection)
        with local_session() as session:

            @settings(
                max_examples=_EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases)
            def ask(case: Case[Any]) -> None:
                assume(len(str(case.as_transport_kwargs()["url"])) < _TOO_LONG)
                case.call_and_validate(session=session, headers=self.headers(id), checks=held)

            try:
                ask()
            except Unsatisfiable:
                # Nothing in it could be wrong: no parameters, no body.
                self.assertIs(mode, GenerationMode.NEGATIVE)


def key_of(stack: Stack, name: str) -> str:
    """A new key of the client `name` that may do everything."""
    scopes = "upload,read,recognise,admin,operate"
    made = stack.manage("create_api_key", name, "--scopes", scopes)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().splitlines()[-1]


def session_of(stack: Stack) -> dict[str, str]:
    """Headers of a superuser who has logged in as in a browser."""
    stack.environ["DJANGO_SUPERUSER_PASSWORD"] = password = "correct horse battery"
    options = ("--noinput", "--username", "olga", "--email", "olga@faces.example")
    made = stack.manage("createsuperuser", *options)
    assert made.returncode == 0, made.stderr
    with local_session() as session:
        door = f"{stack.url}/admin/login/"
        session.get(door, timeout=30)
        form = {"username": "olga", "password": password, "next": "/admin/"}
        sent = {"csrfmiddlewaretoken": session.cookies["faces_csrf"], **form}
        session.post(door, sent, headers={"Referer": door}, allow_redirects=False, timeout=30)
        token = session.cookies["faces_csrf"]
        cookies = f"faces_session={session.cookies['faces_session']}; faces_csrf={token}"
    return {"Cookie": cookies, "X-CSRFToken": token, "Referer": door}


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The description as if nothing were ever added: what is answered and not described shows."""
    schemas = document["components"]["schemas"]
    bodies = {name: schemas.pop(name) for name in list(schemas) if name.endswith("Request")}
    of_requests = [
        operation.pop("requestBody", None)
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    closed: dict[str, Any] = _closed(document)
    closed["components"]["schemas"] |= bodies
    operations = [each for methods in closed["paths"].values() for each in methods.values()]
    for operation, body in zip(operations, of_requests, strict=True):
        operation.update({"requestBody": body} if body else {})
    return closed


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    inner = {key: _closed(value) for key, value in part.items()}
    if inner.get("type") == "object" and "properties" in inner:
        inner.setdefault("additionalProperties", False)
    return inner
