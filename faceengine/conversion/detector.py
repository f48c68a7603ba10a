"""dlib's face detection network (`mmod_human_face_detector`) as ONNX, in two halves.

Seven convolutions (dlib's example `dnn_mmod_face_detection_ex.cpp`): three of stride 2 without
padding, three more that keep the size, and a last one that gives one number for every eighth pixel:
how much the window of 80 × 80 pixels round it looks like a face.

The first three make nearly all of the memory, on the large side, and look at 29 pixels at a time.
As a half of their own they run on one strip of the picture after another.
"""

from __future__ import annotations

from collections import deque

import numpy
from onnx import TensorProto

from faceengine.conversion.dlib_format import Layer, layers
from faceengine.conversion.onnx_graph import Graph
from faceengine.errors import ModelError

_FEATURE_LAYERS = 3


def build_features(data: bytes) -> bytes:
    """Convert the first half of the bytes of dlib's `.dat` file into an ONNX model.

    It maps `pixels`, uint8 (rows, columns, 3) RGB, to `features`, float32 (1, 32, (rows - 21) // 8,
    (columns - 21) // 8). Raises `ModelError` where the file holds another network.
    """
    mean, convolutions = _network(data)
    graph = Graph("mmod_human_face_detector_features")
    planes = graph.node("Transpose", "pixels", perm=[2, 0, 1])
    floats = graph.node("Cast", planes, to=TensorProto.FLOAT)
    batch = graph.node("Unsqueeze", floats, graph.constant(numpy.array([0], numpy.int64)))
    # The first convolution has no padding, so that it can take over (RGB - mean) / 256 as well:
    # on a picture of 16 million pixels, each step of its own costs a twentieth of the whole.
    (layer, norm), *rest = convolutions[:_FEATURE_LAYERS]
    name = graph.node("Relu", graph.convolution(batch, layer, norm, 3, mean=mean))
    channels = int(layer.numbers[0])
    _convolved(graph, name, rest, channels=channels, output="features")
    entry = ("pixels", TensorProto.UINT8, ["rows", "columns", 3])
    channels = int(convolutions[_FEATURE_LAYERS - 1][0].numbers[0])
    return graph.serialised(entry, ("features", [1, channels, "feature_rows", "feature_columns"]))


def build_scores(data: bytes) -> bytes:
    """Convert the second half: `features` as above to `scores`, float32 (1, 1, rows, columns)."""
    _, convolutions = _network(data)
    graph = Graph("mmod_human_face_detector_scores")
    channels = int(convolutions[_FEATURE_LAYERS - 1][0].numbers[0])
    rest = convolutions[_FEATURE_LAYERS:]
    _convolved(graph, "features", rest, channels=channels, output="scores")
    entry = ("features", TensorProto.FLOAT, [1, channels, "rows", "columns"])
    return graph.serialised(entry, ("scores", [1, 1, "rows", "columns"]))


_Convolution = tuple[Layer, Layer | None]


def _network(data: bytes) -> tuple[numpy.typing.NDArray[numpy.float32], list[_Convolution]]:
    """The mean colour, and the convolutions, each with its normalisation; the last has none."""
    todo = deque(layers(data))
    kinds = ["con_4", "bn_con2", "relu_"] * 6 + ["con_4"]
    if [layer.kind for layer in todo] != ["input_rgb_image_pyramid", *kinds]:
        raise ModelError("The model file holds another network than dlib's face detector.")
    mean = numpy.array(todo.popleft().numbers, numpy.float32)
    found: list[_Convolution] = [(todo[i], todo[i + 1]) for i in range(0, len(kinds) - 1, 3)]
    return mean, [*found, (todo[-1], None)]


def _convolved(
    graph: Graph, name: str, convolutions: list[_Convolution], *, channels: int, output: str
) -> None:
    for index, (layer, norm) in enumerate(convolutions):
        last = output if index == len(convolutions) - 1 else None
        if norm is None:
            name = graph.convolution(name, layer, None, channels, output=last)
        else:
            name = graph.convolution(name, layer, norm, channels)
            name = graph.node("Relu", name, output=last)
        channels = int(layer.numbers[0])
