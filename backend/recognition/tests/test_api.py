from backend.recognition import api
from backend.recognition.tests.case import BIDEN, FACELESS, OBAMA, OBAMA_2, RecognitionCase


class PhotosTests(RecognitionCase):
    def test_two_people_are_told_apart_and_a_third_is_unknown(self) -> None:
        face = {"face_id": 1, "score": 1.0}
        api.add_faces(1, 10, [{**face, "face_url": self.web.put(OBAMA)}])
        api.add_faces(1, 20, [{**face, "image": BIDEN}])
        (first,) = api.recognize_face(1, self.web.put(OBAMA_2)) or []
        print(first)
        self.assertEqual(first["contact_id"], 10)
        self.assertEqual(api.recognize_face(1, FACELESS), None)
