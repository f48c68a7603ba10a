"""An encoder with random weights and as many numbers as a test wants, written as an ONNX file.

It is no good at faces, but a network as those of InsightFace's packs are: 112 × 112 pixels in three
channels, an input without normalisation unless `normalises`, no vector of length 1.
"""

from pathlib import Path
from typing import Any

import numpy
from onnx import TensorProto, helper, numpy_helper, save_model

_SIDE_PX = 112
_CELL_PX = 16
_CELLS = 3 * (_SIDE_PX // _CELL_PX) ** 2


def write(
    file: Path,
    dimensions: int = 512,
    *,
    seed: int = 0,
    normalises: bool = False,
    channels_last: bool = False,
    only_one: bool = False,
    side_px: int = _SIDE_PX,
) -> Path:
    """Write the network to `file`.

    `normalises`: the graph begins with Sub and Mul. `channels_last`: its input is NHWC. `only_one`:
    it takes a single face, as graphs do whose Reshape has a fixed first number.
    """
    random = numpy.random.default_rng(seed)
    weights = random.normal(0, 1, (dimensions, _CELLS)).astype(numpy.float32)
    shape = numpy.array([1, _CELLS] if only_one else [0, _CELLS], numpy.int64)
    constants: dict[str, Any] = {
        "weights": weights,
        "bias": numpy.zeros(dimensions, numpy.float32),
        "shape": shape,
        "mean": numpy.array([127.5], numpy.float32),
        "scale": numpy.array([1 / 127.5], numpy.float32),
    }
    graph = helper.make_graph(
        _nodes(normalises=normalises, channels_last=channels_last),
        "made_up",
        [
            helper.make_tensor_value_info(
                "input.1", TensorProto.FLOAT, _shape(channels_last, side_px)
            )
        ],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, [1, dimensions])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    save_model(helper.make_model(graph, opset_imports=opsets, ir_version=7), file)
    return file


def _shape(channels_last: bool, side_px: int) -> list[str | int | None]:
    sides: list[str | int | None] = [side_px, side_px]
    return ["None", *sides, 3] if channels_last else ["None", 3, *sides]


def _nodes(*, normalises: bool, channels_last: bool) -> list[Any]:
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if channels_last:
        steps += [("Transpose", [], {"perm": [0, 3, 1, 2]})]
    if normalises:
        steps += [("Sub", ["mean"], {}), ("Mul", ["scale"], {})]
    window = [_CELL_PX, _CELL_PX]
    steps += [
        ("AveragePool", [], {"kernel_shape": window, "strides": window}),
        ("Reshape", ["shape"], {}),
        ("Gemm", ["weights", "bias"], {"transB": 1}),
    ]
    names = ["input.1", *(f"step_{number}" for number in range(1, len(steps))), "683"]
    return [
        helper.make_node(operator, [names[index], *more], [names[index + 1]], **options)
        for index, (operator, more, options) in enumerate(steps)
    ]
