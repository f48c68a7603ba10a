"""What is said of a face's quality, on faces spoiled in one way at a time."""

import unittest

from PIL import Image, ImageFilter

import faceengine
from faceengine import Point, Reason
from faceengine.quality import MAX_YAW_DEG, head_pose
from tests.support import image_factories


def only(image: Image.Image) -> faceengine.Quality:
    (face,) = faceengine.find_faces(image, encode=False)
    return face.quality


class QualityTest(unittest.TestCase):
    def test_good_photos_have_no_reason(self) -> None:
        for name in ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"):
            quality = only(image_factories.portrait(name, 400))
            self.assertIsNone(quality.reason, name)
            self.assertGreater(quality.score, 1)

    def test_a_small_face(self) -> None:
        quality = only(image_factories.portrait(width=125))
        self.assertEqual(quality.reason, Reason.SMALL)
        self.assertLess(quality.size_px, 40)

    def test_the_size_is_in_the_full_images_pixels(self) -> None:
        image = image_factories.portrait(width=900)
        (face,) = faceengine.find_faces(image, encode=False, max_detection_pixels=200_000)
        self.assertEqual(face.quality.size_px, min(face.box.width, face.box.height))
        self.assertGreater(face.quality.size_px, 200)

    def test_a_blurred_face(self) -> None:
        image = image_factories.portrait(width=500)
        blurred = only(image.filter(ImageFilter.GaussianBlur(6)))
        self.assertEqual(blurred.reason, Reason.BLURRED)
        self.assertLess(blurred.sharpness, only(image).sharpness / 5)

    def test_sharpness_falls_with_every_step_of_blur(self) -> None:
        image = image_factories.portrait("biden.jpg", 500)
        steps = [image.filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 1, 2, 3, 4)]
        measured = [only(step).sharpness for step in steps]
        self.assertEqual(measured, sorted(measured, reverse=True))

    def test_sharpness_compares_between_sizes(self) -> None:
        a, b = (only(image_factories.portrait(width=width)).sharpness for width in (500, 900))
        self.assertAlmostEqual(a / b, 1, delta=0.4)

    def test_a_face_that_the_border_cuts(self) -> None:
        for name in ("obama_partial_face.jpg", "obama_partial_face2.jpg"):
            self.assertEqual(only(image_factories.portrait(name)).reason, Reason.CUT_OFF)

    def test_a_face_that_is_turned(self) -> None:
        # obama2 looks to the left of the picture, obama into the camera.
        self.assertLess(only(image_factories.portrait("obama2.jpg")).pose.yaw, -10)
        self.assertLess(abs(only(image_factories.portrait("obama.jpg")).pose.yaw), 5)

    def test_roll_follows_the_picture(self) -> None:
        image = image_factories.portrait(width=400)
        level = only(image).pose.roll
        turned = only(image.rotate(-15, resample=Image.Resampling.BICUBIC)).pose.roll
        self.assertAlmostEqual(turned - level, 15, delta=4)


class HeadPoseTest(unittest.TestCase):
    EYES = (Point(150, 100), Point(130, 100), Point(50, 100), Point(70, 100))

    def pose(self, x: float) -> float:
        return head_pose((*self.EYES, Point(x, 140))).yaw

    def test_a_nose_in_the_middle_looks_ahead(self) -> None:
        self.assertEqual(self.pose(100), 0)

    def test_a_nose_aside_looks_aside(self) -> None:
        self.assertAlmostEqual(self.pose(130), -self.pose(70))
        self.assertGreater(self.pose(135), MAX_YAW_DEG)

    def test_landmarks_on_one_point_are_no_error(self) -> None:
        pose = head_pose((Point(1, 1),) * 5)
        self.assertEqual((pose.yaw, pose.roll), (0, 0))


if __name__ == "__main__":
    unittest.main()
