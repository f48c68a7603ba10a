"""The sweep of encodings. May run several times at once."""

from backend.face_encodings import services


def sweep() -> None:
    services.complete_open()
