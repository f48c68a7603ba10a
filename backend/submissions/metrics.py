"""Metrics of uploads."""

from backend.common.metrics import registry

UPLOADS = registry.counter("faces_uploads_total", "Images taken in.")
UPLOAD_BYTES = registry.counter("faces_upload_bytes_total", "Bytes of the images taken in.")
