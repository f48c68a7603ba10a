"""Unicode normalisation (UAX 15) of texts that callers choose, in bounded time.

Python sorts combining marks by insertion (UAX 15, D109), so that 80 kB of them take 1.6 s of
processor time and a megabyte minutes.
"""

import unicodedata
from typing import Literal


def normalized(form: Literal["NFC", "NFKC"], text: str, *, at_most: int) -> str:
    """`text` in that form; unchanged if it has more than `at_most` characters."""
    return text if len(text) > at_most else unicodedata.normalize(form, text)
