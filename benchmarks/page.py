"""The page at `/` in a real Chromium: one table.

    python -m benchmarks.page [--json FILE] [--loads N] [--images N]

Starts a service of its own on free loopback ports behind nginx, and a headless browser before it.
Each load is in a profile of its own, so that nothing is cached.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.report import Figure, percentile, show
from tests.support import browser, image_factories
from tests.support.stack import Stack

_LONGEST_MS: Final = 600_000

# What the browser itself measures, from the moment at which the address was asked for.
_WATCH: Final = """
window.seen = { longest: 0, shift: 0 };
const watch = (type, take) => new PerformanceObserver((list) => list.getEntries().forEach(take))
    .observe({ type, buffered: true });
watch("longtask", (each) => { seen.longest = Math.max(seen.longest, each.duration); });
watch("layout-shift", (each) => { if (!each.hadRecentInput) seen.shift += each.value; });
watch("largest-contentful-paint", (each) => { seen.largest = each.startTime; });
"""
_PAINT: Final = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def loads(chromium: Browser, stack: Stack, count: int) -> Iterator[Figure]:
    """What it weighs, and how soon it is there."""
    first, live, sizes = [], [], dict[str, int]()
    for _ in range(count):
        page = chromium.new_page(base_url=stack.url)
        page.on("response", lambda each: sizes.__setitem__(each.url, len(each.body())))
        page.goto("/")
        _until_live(page)
        live.append(page.evaluate("performance.now()"))
        first.append(page.evaluate(_PAINT))
        page.close()
    yield Figure("weight of the page", sum(sizes.values()) / 1000, "kB", "< 100", "uncompressed")
    yield Figure("requests for it", len(sizes), "")
    yield Figure("first contentful paint, median", statistics.median(first), "ms", "< 1000")
    yield Figure("first contentful paint, p90", percentile(first, 90), "ms")
    yield Figure("the feed is live, median", statistics.median(live), "ms")


def many(chromium: Browser, stack: Stack, count: int) -> Iterator[Figure]:
    """Many images at once: does it stay smooth?"""
    page = chromium.new_page(base_url=stack.url)
    page.add_init_script(_WATCH)
    page.goto("/")
    _until_live(page)
    began_ms = page.evaluate("performance.now()")
    page.set_input_files("#files", [_file(number) for number in range(count)])
    expect(page.locator("[data-mine] > li[data-state=done]")).to_have_count(
        count, timeout=_LONGEST_MS
    )
    seen = json.loads(page.evaluate("JSON.stringify(seen)"))
    took_s = (page.evaluate("performance.now()") - began_ms) / 1000
    yield Figure(f"{count} images, from the choice to the last result", took_s, "s")
    yield Figure("  longest task meanwhile", seen["longest"], "ms")
    yield Figure(
        "  layout shift meanwhile", seen["shift"], "", "< 0.1", "CLS, as browsers count it"
    )
    yield Figure("  memory of JavaScript after it", _heap_mb(page), "MB")
    page.close()


def _until_live(page: Page) -> None:
    expect(page.locator("[data-feed-state]")).to_have_text("Live")


def _file(number: int) -> Any:
    data = image_factories.encoded(image_factories.labelled(str(number), 320, 240))
    return {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": data}


def _heap_mb(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--loads", type=int, default=15)
    parser.add_argument("--images", type=int, default=300)
    options = parser.parse_args()
    with Stack(nginx=True) as stack, sync_playwright() as playwright:
        chromium = browser.launch(playwright)
        parts = ((loads, options.loads), (many, options.images))
        show((row for part, count in parts for row in part(chromium, stack, count)), options.json)
        chromium.close()


if __name__ == "__main__":
    main()
