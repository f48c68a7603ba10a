"""The Python example of docs/events.md works as written."""

import asyncio
import re
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any, Final

from wire.events import Outcome
from wsserver.tests.base import PATIENCE_S, ServerTestCase, eventually

_PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "events.md"


class WorkedExample(ServerTestCase):
    async def test_it_waits_for_one_submission(self) -> None:
        submission_id = self.publish(Outcome.NO_FACES)
        async with self.serving() as address, asyncio.timeout(PATIENCE_S):
            outcome = await _example(address)["outcome_of"](submission_id)
        self.assertEqual(outcome, "no_faces")

    async def test_it_follows_all_events_over_a_restart_of_the_server(self) -> None:
        with redirect_stdout(StringIO()) as printed:
            async with self.serving() as address:
                following = asyncio.create_task(_example(address)["follow"]())
                await eventually(lambda: self.has_printed_after_publishing(printed))
            between = self.publish()
            host, _, port = address.rpartition(":")
            async with self.serving(host=host, port=int(port)):
                await eventually(lambda: between in printed.getvalue())
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
        self.assertEqual(printed.getvalue().count(between), 1)

    def has_printed_after_publishing(self, printed: StringIO) -> bool:
        """Publish an event; return whether any was printed, that is, whether it has connected."""
        self.publish()
        return bool(printed.getvalue())


def _example(address: str) -> dict[str, Any]:
    blocks = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 1, "one example in Python"
    code = blocks[0].replace("ws://localhost:8282", f"ws://{address}")
    names: dict[str, Any] = {}
    exec(code.replace("asyncio.run(follow())", ""), names)
    return names
