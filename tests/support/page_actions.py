"""What a person does on the page at `/`, and where they look."""

import base64
from collections.abc import Sequence
from typing import Final

from playwright.sync_api import FilePayload, JSHandle, Locator, Page, expect

# The first image, the second, and the first again, before any of them is shown.
OPEN_QUICKLY: Final = """lines => [0, 1, 0].forEach(
    (index) => lines[index].querySelector("button").click())"""


def jpeg(data: bytes, name: str = "picture.jpg", kind: str = "image/jpeg") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


def choose(page: Page, *files: FilePayload) -> None:
    page.set_input_files("#files", list(files))


def rows(page: Page, state: str = "") -> Locator:
    """The lines of one's own images, those in `state` if one is given."""
    return page.locator("[data-mine] > li" + (f"[data-state={state}]" if state else ""))


def feed(page: Page) -> Locator:
    return page.locator("[data-feed] > li")


def is_live(page: Page) -> None:
    expect(page.locator("[data-feed-state]")).to_have_text("Live")


def transfer(page: Page, files: Sequence[FilePayload]) -> JSHandle:
    """A DataTransfer with files, as a drop or a paste brings it."""
    made = [
        [each["name"], each["mimeType"], base64.b64encode(each["buffer"]).decode()]
        for each in files
    ]
    return page.evaluate_handle(
        """files => {
            const made = new DataTransfer();
            for (const [name, type, data] of files) {
                const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
                made.items.add(new File([bytes], name, { type }));
            }
            return made;
        }""",
        made,
    )


def drop(target: Locator, *files: FilePayload) -> None:
    data = transfer(target.page, files)
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": data})


def log_out(page: Page) -> None:
    """By the account menu of the header."""
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("button", name="Log out").click()
