"""A reader of networks that dlib's `serialize` wrote, as far as its two face models need it.

The format (dlib 19 and 20, `dlib/serialize.h` and `dlib/dnn/`), read off the files themselves:

* An integer is a control byte and then its bytes, lowest first. The control byte's low four bits
  count them; its highest bit says that the number is negative. `01 05` is 5, `81 04` is -4.
* A float is two integers, mantissa and exponent of two: `01 10 81 04` is 16 · 2⁻⁴ = 1.
* A string is its length as an integer, then its bytes. Every layer begins with its type so.
* A tensor is the integer 2 (the format's version), four integers, its dimensions from slowest to
  fastest, and then raw little-endian float32.
* A network is its loss, its layers' versions from the outside in, and then its layers from the
  input to the output. Behind each computing layer follow its training state and three booleans.

Of each layer the values that an inference needs come first. So the reader goes from type name to
type name, reads these, and leaves out the state of the training between them.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from faceengine.errors import ModelError

Tensor = NDArray[numpy.float32]

# What stands in each kind of layer, in order: a tensor ("t"), an integer ("i"), a float ("f"), or
# the five integers that describe a part of a tensor ("a": version and four dimensions), not kept.
_LAYERS = {
    "input_rgb_image_sized": "fff",  # the means of red, green and blue
    "input_rgb_image_pyramid": "fff",
    "con_4": "tiiiiiii",  # weights then biases; filters, rows, columns, strides y x, paddings y x
    "affine_": "t",  # gammas then betas
    # Gammas then betas; means and 1 / deviations of the last batch; running means and variances.
    "bn_con2": "taatttt",
    "relu_": "",
    "max_pool_2": "iiiiii",  # window rows, columns, strides y x, paddings y x
    "avg_pool_2": "iiiiii",
    "add_prev_": "",
    "fc_2": "iit",  # outputs, inputs, weights
}
_NAME = re.compile(
    b"|".join(b"\x01" + bytes([len(name)]) + name.encode() for name in sorted(_LAYERS))
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its type's name in dlib, its tensors (1-D float32) and its numbers, in order."""

    kind: str
    tensors: tuple[Tensor, ...]
    numbers: tuple[float, ...]


def layers(data: bytes) -> Iterator[Layer]:
    """The layers of a serialised network, from the input to the output.

    Raises `ModelError` where the bytes are not as this module's text describes them.
    """
    position = 0
    while match := _NAME.search(data, position):
        reader = _Reader(data, match.end())
        yield reader.layer(match.group()[2:].decode())
        position = reader.position


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position

    def layer(self, kind: str) -> Layer:
        tensors: list[Tensor] = []
        numbers: list[float] = []
        for what in _LAYERS[kind]:
            if what == "t":
                tensors.append(self.tensor())
            elif what == "a":
                self.part()
            else:
                numbers.append(self.integer() if what == "i" else self.real())
        return Layer(kind, tuple(tensors), tuple(numbers))

    def take(self, size: int) -> bytes:
        taken = self.data[self.position : self.position + size]
        if len(taken) != size:
            raise ModelError("The model file ends in the middle of a layer.")
        self.position += size
        return taken

    def integer(self) -> int:
        (control,) = self.take(1)
        size = control & 0x0F
        if not 1 <= size <= 8 or control & 0x70:
            raise ModelError(f"The model file has no number at byte {self.position - 1}.")
        value = int.from_bytes(self.take(size), "little")
        return -value if control & 0x80 else value

    def real(self) -> float:
        mantissa = self.integer()
        return float(mantissa * 2.0 ** self.integer())

    def part(self) -> None:
        for _ in range(5):
            self.integer()

    def tensor(self) -> Tensor:
        version = self.integer()
        if version != 2:
            raise ModelError(f"The model file has a tensor of format {version} instead of 2.")
        count = 1
        for _ in range(4):
            count *= self.integer()
        raw = self.take(count * struct.calcsize("<f"))
        return numpy.frombuffer(raw, "<f4").astype(numpy.float32)
