"""Files of a multipart body that are sent with an empty name.

Django drops a part with `filename=""`, as browsers send it where no file was chosen, and takes one
whose name is of dots or a folder's for a broken body. Command lines and apps send whole images so.
The part gets a name here, in its header.
"""

import re
from typing import IO, Final

NAME: Final = "nameless-2f1c9d5e"
"""Without an extension, so that it says nothing about the content."""

_MAX_HEAD_BYTES: Final = 1024
"""From the boundary to the name; a longer one stays without a name."""


class NamingStream:
    """A multipart body, read forwards, in which each file has a name."""

    def __init__(self, body: IO[bytes], boundary: bytes) -> None:
        self._body = body
        self._start = b"--" + boundary
        head = rb"\r\n(?i:content-disposition):[^\r\n]{0,512};[ \t]*(?i:filename)=\""
        empty = rb"(?:[^\"\r\n]{0,256}[/\\])?\.{0,2}(?=\"[\r;])"
        self._empty = re.compile(rb"(%s%s)%s" % (re.escape(self._start), head, empty))
        self._ahead = b""

    def read(self, size: int = -1) -> bytes:
        """Some bytes, about `size`; none at the end."""
        while block := self._body.read(size):
            data = self._named(self._ahead + block)
            # A header may go on in the next block.
            self._ahead = data[-_MAX_HEAD_BYTES:]
            if given := data[:-_MAX_HEAD_BYTES]:
                return given
        rest, self._ahead = self._ahead, b""
        return rest

    def _named(self, data: bytes) -> bytes:
        if self._start not in data:
            return data
        return self._empty.sub(lambda head: head[1] + NAME.encode(), data)
