"""Pictures of the real page for the documentation: `python -m tests.support.page_picture`.

Only drawn people are on them: nobody is shown who would have to be asked.
"""

import io
from typing import Final

from PIL import Image, ImageOps
from playwright.sync_api import FilePayload, Page, expect, sync_playwright

from tests.support import browser
from tests.support.stack import Stack
from wire import environment

_PICTURES: Final = environment.ROOT / "docs" / "pictures"
_PEOPLE: Final = _PICTURES / "people.jpg"

_WIDTH_PX: Final = 1000
_COLOURS: Final = 160  # a page has few, and the file is a third of the size

# The left and right end of a part of the drawing, as shares of its width, and whether it is turned
# round: what others have sent, and what else was sent from here.
_OTHERS: Final = ((0.0, 0.55, False), (0.3, 0.8, True), (0.5, 1.0, False), (0.2, 1.0, True))
_OWN: Final = {
    "people.jpg": (0.0, 1.0, False),
    "two-of-them.jpg": (0.25, 0.78, False),
    "on-the-right.jpg": (0.48, 1.0, True),
}


def part(left: float, right: float, is_turned: bool) -> bytes:
    """A part of the drawing as a JPEG."""
    with Image.open(_PEOPLE) as drawing:
        width, height = drawing.size
        cut = drawing.crop((round(left * width), 0, round(right * width), height))
    file = io.BytesIO()
    (ImageOps.mirror(cut) if is_turned else cut).save(file, "JPEG", quality=90)
    return file.getvalue()


def show(page: Page) -> None:
    """Fill the page with what it is for."""
    page.goto("/")
    expect(page.locator("[data-feed-state]")).to_have_text("Live")
    expect(page.locator("[data-feed] img")).to_have_count(len(_OTHERS))
    for name, where in _OWN.items():
        data = _PEOPLE.read_bytes() if name == _PEOPLE.name else part(*where)
        file: FilePayload = {"name": name, "mimeType": "image/jpeg", "buffer": data}
        page.set_input_files("#files", [file])
        expect(page.locator("[data-mine] > li[data-state=done]").last).to_contain_text(name)
    page.locator("[data-mine] button").first.click()
    expect(page.locator("[data-viewer] [data-box]")).to_have_count(4)
    page.locator("[data-viewer] .thumb").last.click()
    page.locator("[data-viewer]").hover()
    page.wait_for_load_state("networkidle")


def save(page: Page, name: str) -> None:
    """The page down to the end of what was found, in few colours."""
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("[data-viewer]").bounding_box()
    assert box is not None
    clip = {"x": 0, "y": 0, "width": 1280, "height": box["y"] + box["height"] + 24}
    shot = page.screenshot(full_page=True, clip=clip, animations="disabled")  # type: ignore[arg-type]
    with Image.open(io.BytesIO(shot)) as image:
        small = image.convert("RGB").resize(
            (_WIDTH_PX, round(image.height * _WIDTH_PX / image.width)), Image.Resampling.LANCZOS
        )
    path = _PICTURES / f"{name}.png"
    few = small.quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


def main() -> None:
    """Write them anew."""
    # As a newcomer's own address would be.
    settings = {"SERVICE_URL": "http://localhost:8282"}
    for colours in ("light", "dark"):
        with Stack(nginx=True, settings=settings) as stack, sync_playwright() as playwright:
            stack.wait_ended([stack.upload(part(*each)) for each in _OTHERS])
            chromium = browser.launch(playwright)
            page = chromium.new_page(
                base_url=stack.url,
                viewport={"width": 1280, "height": 1000},
                color_scheme=colours,
                reduced_motion="reduce",
            )
            show(page)
            save(page, f"page-{colours}")
            chromium.close()


if __name__ == "__main__":
    main()
