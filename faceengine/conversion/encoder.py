"""dlib's face recognition network (`dlib_face_recognition_resnet_model_v1`) as ONNX.

A ResNet of 29 convolutions (dlib's example `dnn_face_recognition_ex.cpp`): 150 × 150 pixels in, 128
numbers out. A block is two convolutions beside a shortcut. Where the first convolution has stride 2
the shortcut is an average over 2 × 2, and whichever of both is smaller, in channels, rows or
columns, is filled up with zeros before they are added.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy
from onnx import TensorProto

from faceengine.conversion import CHIP_SIDE_PX, ENCODING_SIZE
from faceengine.conversion.dlib_format import Layer, layers
from faceengine.conversion.onnx_graph import Graph
from faceengine.errors import ModelError


@dataclass(frozen=True, slots=True)
class _Value:
    """A value inside the graph: its name, its channels, and its rows, which are its columns too."""

    name: str
    channels: int
    side: int


def build(data: bytes) -> bytes:
    """Convert the bytes of dlib's `.dat` file into an ONNX model.

    The model maps `chips`, uint8 (n, 150, 150, 3) RGB, to `encodings`, float32 (n, 128). Raises
    `ModelError` where the file holds another network.
    """
    todo = deque(layers(data))
    graph = Graph("dlib_face_recognition_resnet")
    value = _stem(graph, todo)
    while todo and todo[0].kind == "con_4":
        value = _block(graph, todo, value)
    _take(todo, "avg_pool_2")  # over all that is left
    dense = _take(todo, "fc_2")
    if todo or dense.numbers != (ENCODING_SIZE, value.channels):
        raise ModelError("The model file holds another network than dlib's face encoder.")
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", value.name))
    weights = graph.constant(dense.tensors[0].reshape(value.channels, ENCODING_SIZE))
    graph.node("MatMul", pooled, weights, output="encodings")
    entry = ("chips", TensorProto.UINT8, ["n", CHIP_SIDE_PX, CHIP_SIDE_PX, 3])
    return graph.serialised(entry, ("encodings", ["n", ENCODING_SIZE]))


def _stem(graph: Graph, todo: deque[Layer]) -> _Value:
    """Pixels to the first block: dlib's input is (RGB - mean) / 256."""
    mean = numpy.array(_take(todo, "input_rgb_image_sized").numbers, numpy.float32)
    planes = graph.node("Transpose", "chips", perm=[0, 3, 1, 2])
    floats = graph.node("Cast", planes, to=TensorProto.FLOAT)
    centred = graph.node("Sub", floats, graph.constant(mean.reshape(1, 3, 1, 1)))
    scaled = graph.node("Mul", centred, graph.constant(numpy.float32(1 / 256).reshape(1)))
    value = _convolved(graph, todo, _Value(scaled, 3, CHIP_SIDE_PX))
    _take(todo, "relu_")
    pool = _take(todo, "max_pool_2")
    name = graph.pool("MaxPool", graph.node("Relu", value.name), pool)
    return _Value(name, value.channels, _side(value.side, pool.numbers))


def _block(graph: Graph, todo: deque[Layer], value: _Value) -> _Value:
    inner = _convolved(graph, todo, value)
    _take(todo, "relu_")
    inner = _Value(graph.node("Relu", inner.name), inner.channels, inner.side)
    inner = _convolved(graph, todo, inner)
    if todo and todo[0].kind == "avg_pool_2":
        pool = todo.popleft()
        side = _side(value.side, pool.numbers)
        value = _Value(graph.pool("AveragePool", value.name, pool), value.channels, side)
    _take(todo, "add_prev_")
    _take(todo, "relu_")
    return _added(graph, value, inner)


def _added(graph: Graph, a: _Value, b: _Value) -> _Value:
    channels, side = max(a.channels, b.channels), max(a.side, b.side)
    names = [
        graph.zero_padded(each.name, channels - each.channels, side - each.side, side - each.side)
        for each in (a, b)
    ]
    return _Value(graph.node("Relu", graph.node("Add", *names)), channels, side)


def _convolved(graph: Graph, todo: deque[Layer], value: _Value) -> _Value:
    layer, norm = _take(todo, "con_4"), _take(todo, "affine_")
    name = graph.convolution(value.name, layer, norm, value.channels)
    return _Value(name, int(layer.numbers[0]), _side(value.side, layer.numbers[1:]))


def _side(side: int, numbers: tuple[float, ...]) -> int:
    """Rows that remain of `side` under a window's (rows, columns, strides y x, paddings y x)."""
    window, _, stride, _, padding, _ = (int(number) for number in numbers)
    return (side + 2 * padding - window) // stride + 1


def _take(todo: deque[Layer], kind: str) -> Layer:
    if not todo or todo[0].kind != kind:
        found = todo[0].kind if todo else "nothing more"
        raise ModelError(f"The model file has {found} where dlib's face encoder has {kind}.")
    return todo.popleft()
