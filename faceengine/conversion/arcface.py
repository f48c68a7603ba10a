"""Encoders for faces of 112 × 112 pixels (ArcFace and its kin) as one graph from pixels to numbers.

J. Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, and
InsightFace's files, whose input is (pixel - 127.5) / 127.5 in RGB, or raw pixels where the graph
begins with Sub and Mul (`insightface/model_zoo/arcface_onnx.py`). OpenCV Zoo's SFace is one of
those; its block-wise quantised file is one that ONNX Runtime refuses, so its weights are unfolded.
"""

from __future__ import annotations

from typing import Any

import numpy
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceengine.conversion import yunet
from faceengine.errors import ModelError
from faceengine.runtime import opened

SIDE_PX = 112

_THROUGH = ("Cast", "Identity", "Transpose")
"""Operators in front of a graph's own normalisation that leave the numbers as they are."""

_OWN = ("Sub", "Mul", "Div")
"""With which a graph's own normalisation begins."""

_MEAN = _STD = 127.5


def build(data: bytes, *, mean: float | None, std: float | None, is_bgr: bool) -> tuple[bytes, int]:
    """Convert the bytes of an ONNX file: the model, and its numbers of an encoding.

    The model maps `chips`, uint8 (n, 112, 112, 3) RGB, to `encodings`, float32 (n, dimensions) of
    length 1. `mean` and `std` are None if the graph shows them. Raises `ModelError` where the file
    holds another network.
    """
    model = _model(data)
    graph = model.graph
    _unfold(graph)
    _replace_prelu(graph)
    source, is_nchw = _input(graph)
    if len(graph.output) != 1:
        raise ModelError(f"An encoder has one output; this network has {len(graph.output)}.")
    if mean is None and not _normalises(graph, source):
        mean, std = _MEAN, _STD
    front, constants = _front(source, is_nchw, mean, std, is_bgr)
    network = _joined(model, front, constants)
    return network, _dimensions(network)


def _model(data: bytes) -> Any:
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise ModelError("The file is no ONNX model.") from error
    if not model.graph.node:
        raise ModelError("The file is no ONNX model.")
    return model


def _input(graph: Any) -> tuple[str, bool]:
    """The one input that is a picture, and whether its channels come first.

    Files also list their weights as inputs, and those that they had before they were quantised.
    """
    weights = {each.name for each in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    inputs = [each for each in graph.input if each.name in used - weights]
    sides = [dim.dim_value for each in inputs for dim in each.type.tensor_type.shape.dim][1:]
    if len(inputs) == 1 and sides in ([3, SIDE_PX, SIDE_PX], [SIDE_PX, SIDE_PX, 3]):
        return inputs[0].name, sides[0] == 3
    shapes = ", ".join(
        str([dim.dim_value or "?" for dim in each.type.tensor_type.shape.dim]) for each in inputs
    )
    message = f"An encoder takes one picture of {SIDE_PX} × {SIDE_PX} pixels in three channels"
    raise ModelError(f"{message}; this network takes {shapes or 'nothing'}.")


def _unfold(graph: Any) -> None:
    """Replace weights that are quantised by blocks by float32."""
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    before = dict(constants)
    kept = [node for node in graph.node if not _is_unfolded(node, constants, before)]
    if len(kept) == len(graph.node):
        return
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items() if name in used
    )


def _replace_prelu(graph: Any) -> None:
    """PRelu(x) = relu(x) + slope·(x - relu(x)), to the last bit.

    ONNX Runtime runs these four in a third of the time: SFace takes 9 ms a face instead of 20.
    """
    nodes = []
    for node in graph.node:
        nodes += _as_four(node) if node.op_type == "PRelu" else [node]
    del graph.node[:]
    graph.node.extend(nodes)


def _as_four(node: Any) -> list[Any]:
    (source, slope), result = node.input, node.output[0]
    above, below, scaled = (f"{result}_{part}" for part in ("above", "below", "scaled"))
    return [
        helper.make_node("Relu", [source], [above]),
        helper.make_node("Sub", [source, above], [below]),
        helper.make_node("Mul", [below, slope], [scaled]),
        helper.make_node("Add", [above, scaled], [result]),
    ]


def _is_unfolded(
    node: Any, constants: dict[str, NDArray[Any]], before: dict[str, NDArray[Any]]
) -> bool:
    """Whether `node` dequantises weights, or gives dequantised ones their shape."""
    blocks = any(each.name == "block_size" and each.i for each in node.attribute)
    shaped = node.op_type == "Reshape" and node.input[0] not in before
    return (shaped or blocks) and yunet._folded(node, constants)


def _joined(model: Any, front: list[Any], constants: dict[str, NDArray[Any]]) -> bytes:
    """The model with its normalisation in front and the division by the length behind."""
    graph, result = model.graph, model.graph.output[0].name
    nodes = [*front, *graph.node, *_behind(result)]
    constants["encodings_shape"] = numpy.array([0, -1], numpy.int64)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    shape: list[str | int | None] = ["n", SIDE_PX, SIDE_PX, 3]
    graph.input.append(helper.make_tensor_value_info("chips", TensorProto.UINT8, shape))
    output = helper.make_tensor_value_info("encodings", TensorProto.FLOAT, ["n", "dimensions"])
    graph.output.append(output)
    # From 4 on, weights need not be inputs; what is newer than 10 has nothing that is used here.
    model.ir_version = min(max(model.ir_version, 4), 10)
    return bytes(model.SerializeToString())


def _front(
    source: str, is_nchw: bool, mean: float | None, std: float | None, is_bgr: bool
) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    nodes = [helper.make_node("Cast", ["chips"], ["chips_floats"], to=TensorProto.FLOAT)]
    constants: dict[str, NDArray[Any]] = {}
    if is_bgr:
        constants["chips_order"] = numpy.array([2, 1, 0], numpy.int64)
        nodes += [_node("Gather", "chips_order", axis=3)]
    if mean is not None:
        constants["chips_mean"] = numpy.array([mean], numpy.float32)
        constants["chips_std"] = numpy.array([std], numpy.float32)
        nodes += [_node("Sub", "chips_mean"), _node("Div", "chips_std")]
    nodes += [_node("Transpose", perm=[0, 3, 1, 2])] if is_nchw else []
    for index, node in enumerate(nodes[1:], 1):
        node.input[0], node.output[0] = nodes[index - 1].output[0], f"chips_{index}"
    nodes[-1].output[0] = source
    return nodes, constants


def _node(operator: str, *constants: str, **options: Any) -> Any:
    return helper.make_node(operator, ["", *constants], [""], **options)


def _normalises(graph: Any, source: str) -> bool:
    """Whether the graph begins with a normalisation of its own."""
    while True:
        takers = [node for node in graph.node if source in node.input]
        if len(takers) != 1 or takers[0].op_type not in _THROUGH:
            return any(node.op_type in _OWN for node in takers)
        source = takers[0].output[0]


def _behind(result: str) -> list[Any]:
    return [
        helper.make_node("Reshape", [result, "encodings_shape"], ["encodings_rows"]),
        helper.make_node("LpNormalization", ["encodings_rows"], ["encodings"], axis=1, p=2),
    ]


def _dimensions(network: bytes) -> int:
    """Found out by running it on noise."""
    chips = numpy.random.default_rng(0).integers(0, 256, (1, SIDE_PX, SIDE_PX, 3), numpy.uint8)
    try:
        (encodings,) = opened(network).run(None, {"chips": chips})
    except Exception as error:
        raise ModelError(f"ONNX Runtime does not run the network: {error}") from error
    if len(encodings) != 1 or not numpy.isfinite(encodings).all():
        raise ModelError("The network makes no finite numbers of a face.")
    return int(encodings.shape[1])
