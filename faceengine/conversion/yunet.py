"""YuNet, a face detector of 54,000 parameters, as ONNX Runtime takes it at any size.

W. Wu, H. Peng, S. Yu, "YuNet: A tiny millisecond-level face detector", Machine Intelligence
Research 20 (2023). Its files (OpenCV Zoo's `face_detection_yunet_2023mar.onnx`, and the block-wise
quantised `…_int8bq.onnx`) are for images of 640 × 640 in BGR; ONNX Runtime refuses the quantised
one. OpenCV Zoo's `tools/quantize/block_quantize.py` makes it from the float file: weights, which
are initialisers or Constants, become DequantizeLinear and Reshape, and the rest stays.
"""

from __future__ import annotations

from typing import Any

import numpy
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceengine.errors import ModelError

STRIDES = (8, 16, 32)
OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)

_Constants = dict[str, NDArray[Any]]


def build(data: bytes) -> bytes:
    """Convert the bytes of a YuNet file of 2023 into the model that `detection.yunet` runs.

    It maps `pixels`, uint8 (rows, columns, 3) RGB with rows and columns that are multiples of 32,
    to `cls_8` … `kps_32`, float32 (1, rows / stride · columns / stride, 1, 1, 4 or 10): the file's
    own outputs. Quantised weights become float32. Raises `ModelError` where the bytes are no YuNet.
    """
    graph = _graph(data)
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes = [node for node in graph.node if not _folded(node, constants)]
    first = next(node for node in nodes if node.input[0] == graph.input[0].name)
    # RGB instead of BGR: the order of the first filters' channels.
    constants[first.input[1]] = numpy.ascontiguousarray(constants[first.input[1]][:, ::-1])
    return _serialised([*_planes(graph.input[0].name), *nodes], constants)


def _graph(data: bytes) -> Any:
    try:
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:
        raise ModelError("The file is no ONNX model.") from error
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if {each.name for each in graph.output} != set(OUTPUTS) or len(convolutions) != 53:
        raise ModelError("The ONNX file holds another network than YuNet of March 2023.")
    return graph


def _folded(node: Any, constants: _Constants) -> bool:
    """Whether `node` has constants alone, or is one; then its result is one too."""
    if not all(name in constants for name in node.input):
        return False
    if node.op_type == "Constant":
        (value,) = (each.t for each in node.attribute if each.name == "value")
        constants[node.output[0]] = numpy_helper.to_array(value)
        return True
    values = [constants[name] for name in node.input]
    if node.op_type == "DequantizeLinear":
        result = _dequantised(values, {each.name: each.i for each in node.attribute})
    elif node.op_type == "Reshape":
        result = values[0].reshape(values[1])
    else:
        raise ModelError(f"The ONNX file computes {node.op_type} of constants.")
    constants[node.output[0]] = result
    return True


def _dequantised(values: list[NDArray[Any]], options: dict[str, int]) -> NDArray[numpy.float32]:
    """(value - zero) · scale, with one scale and zero for each block along an axis."""
    numbers, scales, *zeros = values
    axis, block = options.get("axis", 1), options.get("block_size", 0)
    if block < 1:
        raise ModelError("The ONNX file is not quantised by blocks.")
    size = numbers.shape[axis]
    scale, *zero = (
        numpy.repeat(each, block, axis).take(range(size), axis).astype(numpy.float32)
        for each in (scales, *zeros)
    )
    shifted = numbers.astype(numpy.float32) - (zero[0] if zero else 0)
    return numpy.asarray(shifted * scale, numpy.float32)


def _planes(name: str) -> list[Any]:
    """`pixels` as one image of three float planes, called `name`."""
    return [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[2, 0, 1]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["floats", "batch_axis"], [name]),
    ]


def _serialised(nodes: list[Any], constants: _Constants) -> bytes:
    constants = {**constants, "batch_axis": numpy.array([0], numpy.int64)}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "yunet",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["rows", "columns", 3])],
        [_output(name) for name in OUTPUTS],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _output(name: str) -> Any:
    kind, stride = name.split("_")
    shape: list[str | int | None] = [1, f"places_{stride}", {"bbox": 4, "kps": 10}.get(kind, 1)]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
