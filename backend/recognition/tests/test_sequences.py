"""Random calls, some of them concurrent from several processes, against a sequential model.

The model executes the calls one by one, in the order in which they were accepted. The galleries and
all answers must equal the model's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backend.recognition import api
from backend.recognition.models import Operation
from backend.recognition.operations import commands, service
from backend.recognition.tests import processes
from backend.recognition.tests.base import RecognitionCase, analysed, ids
from backend.recognition.tests.factories import near, person

CONTACTS: Final = (1, 2, 3)
PEOPLE: Final = (1, 2, 3)
FACELESS: Final = 4
BAD: Final = 5
IMAGES: Final = (*PEOPLE, FACELESS, BAD)

Step = dict[str, Any]
_contact = st.sampled_from(CONTACTS)
_images = st.lists(st.sampled_from(IMAGES), min_size=1, max_size=4)
_steps: Final = st.one_of(
    st.fixed_dictionaries({"kind": st.just("add"), "contact": _contact, "faces": _images}),
    st.fixed_dictionaries({"kind": st.just("delete"), "contact": _contact, "faces": _images}),
    st.fixed_dictionaries({"kind": st.just("delete_contact"), "contact": _contact}),
    st.fixed_dictionaries({"kind": st.just("merge"), "contact": _contact, "from": _contact}),
    st.fixed_dictionaries(
        {"kind": st.just("move"), "contact": _contact, "to": _contact, "faces": _images}
    ),
    st.fixed_dictionaries({"kind": st.just("recognise"), "person": st.sampled_from(PEOPLE)}),
    st.fixed_dictionaries({"kind": st.just("delete_user")}),
).filter(
    lambda step: (
        step["contact"] not in (step.get("from"), step.get("to")) if "contact" in step else True
    )
)


class Model:
    """The expected state: the faces of each contact by `face_id`, which is its image."""

    def __init__(self) -> None:
        self.contacts: dict[int, set[int]] = {number: set() for number in CONTACTS}

    def do(self, step: Step) -> Any:
        """Execute a call; its answer: the `face_id`s of each list, or the contacts recognised."""
        return getattr(self, step["kind"])(step)

    def add(self, step: Step) -> Any:
        there, done = self.contacts[step["contact"]], _lists()
        for face_id in step["faces"]:
            if face_id == BAD:
                done["error"].append(face_id)
            elif face_id in there:
                done["not_found"].append(face_id)
            else:
                there.add(face_id)
                done["added"].append(face_id)
        return done

    def delete(self, step: Step) -> Any:
        there, done = self.contacts[step["contact"]], _lists()
        for face_id in step["faces"]:
            done["deleted" if face_id in there else "not_found"].append(face_id)
            there.discard(face_id)
        return done

    def delete_contact(self, step: Step) -> Any:
        gone, self.contacts[step["contact"]] = self.contacts[step["contact"]], set()
        return {**_lists(), "deleted": sorted(gone)}

    def delete_user(self, step: Step) -> Any:
        gone = [face_id for faces in self.contacts.values() for face_id in faces]
        self.contacts = {number: set() for number in CONTACTS}
        return {**_lists(), "deleted": sorted(gone)}

    def merge(self, step: Step) -> Any:
        return self._moved(step["from"], step["contact"], self.contacts[step["from"]])

    def move(self, step: Step) -> Any:
        there = set(step["faces"]) & self.contacts[step["contact"]]
        done = self._moved(step["contact"], step["to"], there)
        # Each face of the call is in one list, one that is given twice in two.
        rest = list(step["faces"])
        for face in there:
            rest.remove(face)
        return {**done, "not_found": rest}

    def recognise(self, step: Step) -> Any:
        return {number for number, faces in self.contacts.items() if step["person"] in faces}

    def _moved(self, source: int, target: int, faces: set[int]) -> Any:
        # The same `face_id` is the same image here, so that what both have goes.
        both = faces & self.contacts[target]
        self.contacts[source] = self.contacts[source] - faces
        self.contacts[target] = self.contacts[target] | faces
        return {**_lists(), "added": sorted(faces - both), "deleted": sorted(both)}


def _lists() -> dict[str, list[int]]:
    return {"added": [], "deleted": [], "not_found": [], "error": []}


class Galleries(RuleBasedStateMachine):
    """One user for each example; set up by the test."""

    faces: Mapping[int, Mapping[str, Any]]
    probes: Mapping[int, str]
    users: Iterator[int]

    def __init__(self) -> None:
        super().__init__()
        self.user_id = next(self.users)
        self.model = Model()

    @rule(step=_steps)
    def one_call(self, step: Step) -> None:
        (told,) = self._told([self._begun(step)])
        self._compare(step, told)

    @rule(steps=st.lists(_steps, min_size=2, max_size=3))
    def calls_at_the_same_time(self, steps: Sequence[Step]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            jobs = [self._job(step, Path(folder, str(at))) for at, step in enumerate(steps)]
            assert not processes.failures(processes.run(*jobs))
            began = [Path(folder, str(at)).read_text() for at in range(len(steps))]
        by_id = {str(each.pk): each for each in Operation.objects.filter(pk__in=began)}
        operations = [by_id[id] for id in began]
        done = zip(operations, steps, self._told(operations), strict=True)
        for _, step, told in sorted(done, key=lambda each: each[0].sequence):
            self._compare(step, told)

    @invariant()
    def the_gallery_is_the_models(self) -> None:
        found = {(face["contact_id"], face["face_id"]) for face in api.get_faces(self.user_id)}
        pairs = ((number, faces) for number, faces in self.model.contacts.items())
        assert found == {(number, face_id) for number, faces in pairs for face_id in faces}

    def _job(self, step: Step, note: Path) -> Any:
        def job() -> None:
            operation = self._begun(step)
            note.write_text(str(operation.pk))
            service.wait(operation, timeout_s=60)

        return job

    def _begun(self, step: Step) -> Operation:
        return service.begin(self._call(step), owner_id=1, timeout_s=60)

    def _call(self, step: Step) -> Any:
        user_id, contact = self.user_id, step.get("contact", 0)
        named = [self.faces[number] for number in step.get("faces", ())]
        match step["kind"]:
            case "add":
                return commands.add(user_id, contact, named)
            case "delete":
                return commands.delete(user_id, contact, named)
            case "delete_contact":
                return commands.delete_contact(user_id, contact)
            case "merge":
                return commands.merge(user_id, contact, step["from"])
            case "move":
                return commands.move(user_id, contact, named, to=step["to"])
            case "recognise":
                return commands.recognise(user_id, self.probes[step["person"]])
            case _:
                return commands.delete_user(user_id)

    def _told(self, operations: Sequence[Operation]) -> list[Any]:
        for operation in operations:
            assert service.wait(operation, timeout_s=60)
        return [self._answer(operation) for operation in operations]

    def _answer(self, operation: Operation) -> Any:
        # Read from the row: a face that a later call deleted is not in the answer any more.
        result = operation.result or {}
        if operation.kind == "recognise":
            near = [face for face in result["faces"] or () if face["distance"] < 0.5]
            return len(near)
        return {name: ids(result[name]) for name in _lists()}

    def _compare(self, step: Step, told: Any) -> None:
        expected = self.model.do(step)
        if step["kind"] == "recognise":
            assert told == len(expected), (step, told, expected)
            return
        for name, faces in expected.items():
            assert sorted(told[name]) == sorted(faces), (json.dumps(step), name, told, expected)


@override_settings(FACES_MIN_CONFIDENCE=0.0)
class SequenceTests(RecognitionCase):
    def test_random_calls_of_several_processes_match_the_model(self) -> None:
        people = {number: person() for number in PEOPLE}
        images = {number: analysed(people.get(number)) for number in (*PEOPLE, FACELESS)}
        urls = {number: self.web.put(image) for number, image in images.items()}
        urls[BAD] = self.web.url("/gone")
        Galleries.faces = {
            number: {"face_id": number, "face_url": url, "score": 1.0}
            for number, url in urls.items()
        }
        Galleries.probes = {
            number: self.web.put(analysed(near(one, 0.2))) for number, one in people.items()
        }
        Galleries.users = count(1)
        limits = settings(
            max_examples=8,
            # What fails is short enough as it is, and shrinking it takes minutes.
            phases=[Phase.generate],
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Galleries, settings=limits)
