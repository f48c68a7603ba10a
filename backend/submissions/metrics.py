"""What is uploaded."""

from backend.common import metrics

UPLOADS = metrics.counter("faces_uploads_total", "Images taken in.")
UPLOAD_BYTES = metrics.counter("faces_upload_bytes_total", "Bytes of the images taken in.")
