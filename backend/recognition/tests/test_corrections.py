"""Faces that were drawn or hidden by hand, as recognition sees them."""

from typing import Any

from django.test import override_settings

from backend.analysis.models import Face, Mark
from backend.clients.models import Client
from backend.recognition.models import Face as GalleryFace
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import add, near, user
from backend.recognition.tests.test_http import USER
from backend.recognition.tests.test_uploads import UploadsCase
from backend.submissions.models import Submission


def mark(photo: Submission, face: int, **values: Any) -> None:
    Face.objects.filter(analysis=photo.analysis_id, index=face).update(**values)


def hide(photo: Submission, face: int) -> None:
    mark(photo, face, by_hand=Mark.Kind.HIDDEN)


def unclear(photo: Submission, face: int) -> None:
    mark(photo, face, by_hand=Mark.Kind.DRAWN, encoding=None, too_poor="unclear")


class CorrectionsTests(UploadsCase):
    def recognised(self, photo: Submission, **options: Any) -> Any:
        body = {"submission": str(photo.pk), **options}
        return self.call("post", f"{USER}/recognize", body).json()

    def enrolled(self, photo: Submission, face: int) -> Any:
        body = {"name": "Bea", "faces": [{"submission": str(photo.pk), "face": face}]}
        return self.call("post", f"{USER}/contacts/", body).json()

    def test_a_hidden_face_is_left_out_and_the_others_keep_their_numbers(self) -> None:
        self.enrol(submissions.done(self.ann))
        photo = submissions.done(near(self.ann, 0.1), near(self.ann, 0.2))
        hide(photo, 0)
        (face,) = self.recognised(photo, faces="all")["faces"]
        self.assertEqual((face["face"], face["candidates"][0]["name"]), (1, "Ann"))
        self.assertEqual(self.recognised(photo, limit=1)[0]["faces_count"], 1)

    def test_the_largest_face_is_one_that_is_shown(self) -> None:
        self.enrol(submissions.done(self.ann))
        photo = submissions.done(near(self.ann, 0.1), self.bea)  # the second is larger
        self.assertEqual(self.recognised(photo, limit=1), [])
        hide(photo, 1)
        self.assertEqual(self.recognised(photo, limit=1)[0]["name"], "Ann")
        hide(photo, 0)
        self.assertIsNone(self.recognised(photo, limit=1))

    def test_a_box_without_numbers_is_listed_and_nobody_is_recognised_in_it(self) -> None:
        self.enrol(submissions.done(self.ann))
        photo = submissions.done(self.ann)
        unclear(photo, 0)
        (face,) = self.recognised(photo, faces="all")["faces"]
        self.assertEqual((face["candidates"], face["quality"]["too_poor"]), ([], "unclear"))
        self.assertIsNone(self.recognised(photo, limit=1))

    def test_a_face_that_was_enrolled_and_then_hidden_leaves_the_galleries_of_its_client(
        self,
    ) -> None:
        photo = submissions.done(self.ann, self.bea)
        kept = {self.enrol(photo, face, name): name for face, name in ((0, "Ann"), (1, "Bea"))}
        other = user(owner_id=Client.objects.create(name="other").pk)
        add(other, 1, [self.ann])
        GalleryFace.objects.filter(user=other).update(sha256=photo.sha256)
        with override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0):
            answer = self.call("delete", f"/image/{photo.pk}/faces/", {"face": 0})
        self.assertLess(answer.status_code, 300)
        left = GalleryFace.objects.exclude(user=other).values_list("contact__contact_id", flat=True)
        self.assertEqual([kept[each] for each in left], ["Bea"])
        self.assertEqual(GalleryFace.objects.filter(user=other).count(), 1)

    def test_neither_can_be_enrolled(self) -> None:
        photo = submissions.done(self.ann, self.bea)
        hide(photo, 0)
        unclear(photo, 1)
        self.assertIn("hidden", self.enrolled(photo, 0)["error"][0]["reason"])
        self.assertIn("too unclear", self.enrolled(photo, 1)["error"][0]["reason"])
        self.assertEqual(self.call("get", f"{USER}/contacts/").status_code, 404)

    @override_settings(FACES_GROUP_UNKNOWN=True)
    def test_neither_is_in_groups_or_suggestions(self) -> None:
        self.enrol(submissions.done(self.ann))
        photo = submissions.done(near(self.ann, 0.1), self.bea)
        hide(photo, 0)
        unclear(photo, 1)
        self.assertEqual(self.groups(), [])
        answer = self.call("get", f"{USER}/suggestions/").json()
        self.assertEqual(answer["contacts"], [])
