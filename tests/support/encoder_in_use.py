"""The service with another encoder: a made-up one of 512 numbers, or the file of a test."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.test import override_settings

from faceengine import Encoder, encoders
from tests.support import made_up_encoder

THRESHOLDS = """
[thresholds]
same_person = 0.01
match_distance = 0.01
slope = 2000
midpoint = 0.01
ceiling = 0.99
"""
"""With random weights the same image is the same person, and no other."""


@contextmanager
def encoder_in_use(file: Path | None = None, *, facts: str = THRESHOLDS) -> Iterator[Encoder]:
    """`FACES_ENCODER` is a converted folder, as `python -m faceengine convert` writes it.

    Of `file`, else of the made-up encoder with these `facts`.
    """
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = made_up_encoder.write(Path(folder, "a.onnx"))
            Path(folder, encoders.FACTS).write_text(facts)
        converted = Path(folder, "converted")
        encoder = encoders.convert(file, converted)
        with override_settings(FACES_ENCODER=str(converted)):
            yield encoder
