"""What the sweep does for encodings. May run twice, and at several places at once."""

from backend.face_encodings import services


def sweep() -> None:
    services.complete_open()
