"""dlib's networks, read from their own files and converted to ONNX."""

CHIP_SIDE_PX = 150
"""The side of the square picture of a face that the encoder takes."""

ENCODING_SIZE = 128
"""Numbers in an encoding."""
