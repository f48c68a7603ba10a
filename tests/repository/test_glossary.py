"""Names that the glossary replaced do not come back (docs/glossary.md)."""

import re
import unittest
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.repository import codebase
from tests.repository.codebase import PRODUCT, ROOT

_SUBJECT: Final = "the subject of a sentence is a noun of the system"

# Forbidden in the product's Python, with the reason.
_NAMES: Final = {
    r"^def of\(": "a function is named for what it returns",
    r"\bclass Refused\b": "four exceptions had this name; each says what it refuses",
    r"\bpatience\b|\bSeatMiddleware\b": "it is admission control",
    r"\bcarry_out\b|\bcarrying_out\b": "a command is executed",
    r"_untold\b|_told\b|\btell_\w+": "an event is published, a caller is notified",
    r"\bclass (Door|Reception|Visitor|Ticket|Gate|Audience|News)\b": "the websocket server has "
    "standard terms: connection limits, handshake, connection, claims, verifier, broadcaster",
    r"\bCatchUp\b": "sending missed events to a subscriber is a replay",
    r"\bwhisper\(": "Chinese Whispers propagates labels",
    r"\bwholeness\b": "a file is complete or truncated",
    r"\bnobody\.pem\b": "a CA that signs nothing is untrusted-ca.pem",
    r"\bsettled_at\b|\bTally\b": "an image is completed; a client has one counter row",
    r"\bNotMe\b|\bByHand\b|\bNotPerson\b": "MatchRejection, ManualTag, ClusterExclusion",
    r"\bMalformed\b": "input is invalid: InvalidInput",
    r"[Ww]hoever|[Ss]omebody|[Nn]obody": _SUBJECT,
}

# Forbidden in the documentation.
_WORDS: Final = {
    r"\b[Ww]ho(so)?ever\b": _SUBJECT,
    r"\bthe door\b|\bhears\b": "requests are accepted or refused, events are received",
}

# Unix's user of this name.
_ALLOWED: Final = re.compile(r"getpwnam\(\"nobody\"\)|user nobody")


class GlossaryTests(unittest.TestCase):
    maxDiff = None

    def test_replaced_names_do_not_come_back(self) -> None:
        files = (path for folder in PRODUCT for path in codebase.python_files(folder))
        self.assertEqual(list(_violations(files, _NAMES)), [])

    def test_documentation_has_nouns_of_the_system_as_subjects(self) -> None:
        names = (path.relative_to(ROOT).as_posix() for path in codebase.files())
        pages = (
            ROOT / name
            for name in names
            if re.fullmatch(r"(docs/(decisions/)?)?[\w-]+\.(md|env)", name)
        )
        self.assertEqual(list(_violations(pages, _WORDS)), [])


def _violations(files: Iterable[Path], forbidden: dict[str, str]) -> Iterator[str]:
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, reason in forbidden.items():
                if re.search(pattern, line) and not _ALLOWED.search(line):
                    yield f"{name}:{number}: {line.strip()[:80]} ({reason})"


if __name__ == "__main__":
    unittest.main()
