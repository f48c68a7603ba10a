from django.apps import AppConfig


class FaceEncodingsConfig(AppConfig):
    name = "backend.face_encodings"
