"""Metrics of the engine."""

from backend.common.metrics import registry

ENGINE = registry.histogram(
    "faces_engine_seconds",
    "The engine's work on an image: decode, detect, encode (detect_encode); draw the boxes (draw).",
    "stage",
)
FACES = registry.counter("faces_detected_total", "Faces found, in images that were not known yet.")
