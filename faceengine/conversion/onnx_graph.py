"""Building blocks to write a network as ONNX, with dlib's batch normalisation folded away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceengine.conversion.dlib_format import Layer, Tensor
from faceengine.errors import ModelError

_OPSET = 17
_IR_VERSION = 8  # what opset 17 came with, so that every runtime that has the operators reads it


class Graph:
    """A graph under construction. Every method adds a node and returns its output's name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, output: str | None = None, **options: Any) -> str:
        """Add the ONNX `operator` on `inputs`."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **options))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        """Add an array of float32 or int64 as a constant."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def convolution(
        self,
        source: str,
        layer: Layer,
        norm: Layer | None,
        channels: int,
        *,
        mean: Tensor | None = None,
        output: str | None = None,
    ) -> str:
        """A `con_4` layer together with the `affine_` or `bn_con2` that follows it.

        With `mean`, one number a channel, its input is pixels, of which (pixel - mean) / 256 is
        taken first; that needs a convolution without padding.
        """
        weights, bias = folded(layer, norm, channels, mean)
        rows, columns, *strides, pad_y, pad_x = (int(number) for number in layer.numbers[1:])
        return self.node(
            "Conv",
            source,
            self.constant(weights),
            self.constant(bias),
            output=output,
            kernel_shape=[rows, columns],
            strides=strides,
            pads=[pad_y, pad_x, pad_y, pad_x],
        )

    def pool(self, operator: str, source: str, layer: Layer) -> str:
        """A pooling layer; dlib's, like ONNX's, leaves out what fills no whole window."""
        rows, columns, *strides, pad_y, pad_x = (int(number) for number in layer.numbers)
        pads = [pad_y, pad_x, pad_y, pad_x]
        return self.node(operator, source, kernel_shape=[rows, columns], strides=strides, pads=pads)

    def zero_padded(self, source: str, channels: int, rows: int, columns: int) -> str:
        """Zeros behind the last channel, row and column, as dlib's `add_prev` supposes them."""
        if not (channels or rows or columns):
            return source
        pads = numpy.array([0, 0, 0, 0, 0, channels, rows, columns], numpy.int64)
        return self.node("Pad", source, self.constant(pads))

    def serialised(
        self, entry: tuple[str, int, Sequence[Any]], exit_: tuple[str, Sequence[Any]]
    ) -> bytes:
        """The finished model: `entry` is (name, element type, shape), `exit_` (name, shape)."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(*entry)],
            [helper.make_tensor_value_info(exit_[0], TensorProto.FLOAT, exit_[1])],
            self._constants,
        )
        opset = helper.make_opsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def folded(
    layer: Layer, norm: Layer | None, channels: int, mean: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Weights (filters, channels, rows, columns) and biases, with `norm` multiplied into them.

    What follows a convolution is linear with fixed numbers, so it costs nothing at run time.
    Computed in double precision and rounded once.
    """
    filters, rows, columns = (int(number) for number in layer.numbers[:3])
    if layer.kind != "con_4" or layer.tensors[0].size != filters * (channels * rows * columns + 1):
        raise ModelError(f"The model file has no convolution of {channels} channels here.")
    values = layer.tensors[0].astype(numpy.float64)
    weights, bias = values[:-filters].reshape(filters, channels, rows, columns), values[-filters:]
    if norm is not None:
        gamma, beta = _affine(norm)
        weights, bias = weights * gamma[:, None, None, None], bias * gamma + beta
    if mean is not None:
        weights = weights / 256
        bias = bias - (weights * mean.astype(numpy.float64)[:, None, None]).sum(axis=(1, 2, 3))
    return weights.astype(numpy.float32), bias.astype(numpy.float32)


# The constant that dlib's bn_con_ adds to the variance (DEFAULT_BATCH_NORM_EPS, dlib/dnn/layers.h).
_EPSILON = 1e-4


def _affine(norm: Layer) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """The factor and the addend of a normalising layer, one number a channel each."""
    gamma, beta = numpy.split(norm.tensors[0].astype(numpy.float64), 2)
    if norm.kind == "bn_con2":
        mean, variance = (each.astype(numpy.float64) for each in norm.tensors[3:])
        gamma = gamma / numpy.sqrt(variance + _EPSILON)
        beta = beta - gamma * mean
    return gamma, beta
