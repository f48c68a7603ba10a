"""Image in, faces out: dlib's models, YuNet and ArcFace's kin on ONNX Runtime. No Django, no
settings.

    image = faceengine.load_image("photo.jpg")
    for face in faceengine.find_faces(image):
        print(face.box, face.quality.score)

Importing this package imports Pillow and nothing heavy: dlib, numpy and ONNX Runtime come with the
first call that needs them, and models load then too, or with `load()`, once a process.
"""

from typing import TYPE_CHECKING, Any

from faceengine.detection.detector import is_available
from faceengine.encoders import DLIB, Encoder, Thresholds, open_encoder
from faceengine.errors import FaceEngineError, ImageError, ModelError, Problem
from faceengine.imaging.decode import (
    DETAILED_PIXELS,
    ImageInfo,
    Source,
    check_image,
    load_image,
    load_reduced,
)
from faceengine.imaging.drawing import draw_boxes
from faceengine.imaging.isolation import Busy
from faceengine.imaging.metadata import taken_at
from faceengine.memory import keep_memory, release_memory
from faceengine.runtime import MODEL, configure
from faceengine.types import (
    DETECTORS,
    Box,
    Detector,
    Face,
    Faces,
    Point,
    Pose,
    Quality,
    Reason,
    overlap,
)

if TYPE_CHECKING:
    from faceengine.engine import (
        MAX_DETECTION_PIXELS,
        distance,
        encode_boxes,
        encode_many,
        find_faces,
        load,
        open_photo,
    )
    from faceengine.imaging.scaled import Photo

__all__ = [
    "DETAILED_PIXELS",
    "DETECTORS",
    "DLIB",
    "MAX_DETECTION_PIXELS",
    "MODEL",
    "Box",
    "Busy",
    "Detector",
    "Encoder",
    "Face",
    "FaceEngineError",
    "Faces",
    "ImageError",
    "ImageInfo",
    "ModelError",
    "Photo",
    "Point",
    "Pose",
    "Problem",
    "Quality",
    "Reason",
    "Source",
    "Thresholds",
    "check_image",
    "configure",
    "distance",
    "draw_boxes",
    "encode_boxes",
    "encode_many",
    "find_faces",
    "is_available",
    "keep_memory",
    "load",
    "load_image",
    "load_reduced",
    "open_encoder",
    "open_photo",
    "overlap",
    "release_memory",
    "taken_at",
]


def __getattr__(name: str) -> Any:
    # PEP 562: these live with numpy and dlib, which a process that only checks uploads never needs.
    if name in __all__:
        from faceengine import processor

        if why := processor.complaint():
            raise ModelError(why)
        from faceengine import engine

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
