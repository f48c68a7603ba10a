"""Feedback on answers, and the precision and recall that it measures."""

import uuid
from typing import Any

from django.test import SimpleTestCase, TestCase
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from backend.clients.models import ANONYMOUS_ID
from backend.common.jobs.models import Status
from backend.recognition.gallery import feedback
from backend.recognition.gallery.feedback import Verdict
from backend.recognition.models import (
    Contact,
    Face,
    Feedback,
    Kind,
    Operation,
    OtherEncoding,
    Reembedding,
)
from backend.recognition.operations import retention
from backend.recognition.tests import factories
from backend.recognition.tests.factories import add, person

RIGHT, WRONG = Verdict(right=True), Verdict(right=False)
STRANGER = Verdict(contact_id=None)


def it_is(contact_id: int) -> Verdict:
    return Verdict(contact_id=contact_id)


class FeedbackTests(TestCase):
    def setUp(self) -> None:
        self.user = factories.user()
        (self.ann,), (self.bea,) = (add(self.user, number, [person()]) for number in (1, 2))
        self.sequence = 0

    def answer(self, face: Face | None, confidence: float = 0.9, *, no_face: bool = False) -> Any:
        self.sequence += 1
        entry = {"id": face.pk, "recognition_confidence": confidence} if face else None
        return Operation.objects.create(
            owner_id=ANONYMOUS_ID,
            user=self.user,
            sequence=self.sequence,
            kind=Kind.RECOGNISE,
            status=Status.DONE,
            processed_at=timezone.now(),
            result={"faces": None if no_face else [entry] if entry else []},
        ).pk

    def note(self, answer: Any, said: Verdict) -> Feedback:
        return feedback.note(ANONYMOUS_ID, self.user.user_id, answer, said)

    def test_precision_and_recall_count_the_feedback(self) -> None:
        self.note(self.answer(self.ann), RIGHT)
        self.note(self.answer(self.ann), it_is(1))
        self.note(self.answer(self.ann), it_is(2))  # named wrongly, and Bea is missed
        self.note(self.answer(self.bea), STRANGER)  # named wrongly, nobody is missed
        self.note(self.answer(None), it_is(1))  # missed
        self.note(self.answer(None), WRONG)  # missed, whoever it was
        self.note(self.answer(None), RIGHT)  # nobody the user knows
        found = feedback.quality(self.user)
        self.assertEqual((found["answers"], found["right"], found["wrong"]), (7, 3, 4))
        self.assertEqual(found["of_unknown_people"], 2)
        self.assertEqual((found["precision"]["value"], found["precision"]["cases"]), (2 / 4, 4))
        self.assertEqual((found["recall"]["value"], found["recall"]["cases"]), (2 / 5, 5))

    def test_precision_and_recall_at_higher_thresholds(self) -> None:
        self.note(self.answer(self.ann, 0.95), RIGHT)
        self.note(self.answer(self.ann, 0.6), RIGHT)
        self.note(self.answer(self.ann, 0.4), it_is(2))
        at = {each["threshold"]: each for each in feedback.quality(self.user)["at"]}
        known = {0.2: (2 / 3, 2 / 3), 0.5: (1.0, 2 / 3), 0.7: (1.0, 1 / 3)}
        for threshold, rates in known.items():
            found = at[threshold]["precision"]["value"], at[threshold]["recall"]["value"]
            self.assertEqual(found, rates)

    def test_only_the_latest_feedback_on_an_answer_counts(self) -> None:
        answer = self.answer(self.ann)
        for said in (RIGHT, WRONG, it_is(2), it_is(1)):
            self.note(answer, said)
        found = feedback.quality(self.user)
        self.assertEqual((found["answers"], found["right"]), (1, 1))

    def test_answers_and_contacts_of_other_users_are_not_found(self) -> None:
        answer = self.answer(self.ann)
        for owner, number, id in ((999, 1, answer), (1, 999, answer), (1, 1, uuid.uuid4())):
            with self.assertRaises(feedback.NoSuchAnswer):
                feedback.note(owner, number, id, RIGHT)
        add(factories.user(2), 3, [person()])
        with self.assertRaises(feedback.NoSuchContact):
            self.note(answer, it_is(3))
        with self.assertRaises(feedback.NoSuchAnswer):
            self.note(self.answer(None, no_face=True), RIGHT)

    def test_feedback_is_deleted_with_its_contact(self) -> None:
        answer = self.answer(self.ann)
        self.note(answer, RIGHT)
        self.note(self.answer(None), it_is(2))
        Contact.objects.filter(contact_id=1).delete()
        self.assertEqual([row.truth_id for row in Feedback.objects.all()], [self.bea.contact_id])
        with self.assertRaises(feedback.NoSuchAnswer):
            self.note(answer, WRONG)

    def test_merging_contacts_merges_their_feedback(self) -> None:
        self.note(self.answer(self.ann), it_is(2))
        ann, bea = Contact.objects.order_by("contact_id")
        feedback.merged(ann, bea)
        ann.delete()
        (row,) = Feedback.objects.all()
        self.assertEqual((row.named_id, row.truth_id), (bea.pk, bea.pk))
        self.assertTrue(row.is_right)

    def test_erasing_a_client_deletes_feedback_and_other_encodings(self) -> None:
        self.note(self.answer(None), RIGHT)
        Reembedding.objects.create(user=self.user, model="a model")
        values = {"model": "another model", "encoding": person()}
        OtherEncoding.objects.create(face=self.ann, **values)
        while retention.erase_of(ANONYMOUS_ID, at_most=10):
            pass
        for rows in (Feedback.objects, Reembedding.objects, OtherEncoding.objects):
            self.assertFalse(rows.exists())

    def test_quality_without_feedback_has_no_value(self) -> None:
        found = feedback.quality(self.user)["precision"]
        self.assertEqual(found, {"value": None, "low": 0.0, "high": 1.0, "cases": 0})


class RateTests(SimpleTestCase):
    def test_the_interval_is_wilsons(self) -> None:
        # E.g. Brown, Cai and DasGupta (2001): 8 of 10.
        found = feedback.rate(8, 10)
        self.assertAlmostEqual(found["low"], 0.490, places=3)
        self.assertAlmostEqual(found["high"], 0.943, places=3)

    @given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_it_holds_the_share_and_stays_between_0_and_1(self, case: tuple[int, int]) -> None:
        found = feedback.rate(*case)
        assert found["value"] is not None
        self.assertTrue(0 <= found["low"] <= found["value"] + 1e-12)
        self.assertTrue(found["value"] <= found["high"] + 1e-12 and found["high"] <= 1)
