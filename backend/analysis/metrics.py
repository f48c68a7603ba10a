"""What the engine does and how long it takes."""

from backend.common.metrics import registry

ENGINE = registry.histogram(
    "faces_engine_seconds",
    "The engine's work on an image: decoding, finding and encoding (find), drawing (draw).",
    "stage",
)
FACES = registry.counter("faces_found_total", "Faces found, in images that were not known yet.")
