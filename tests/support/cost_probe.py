"""`python -m tests.support.cost_probe`: each file in a process of its own, forked from this one.

Reads lines `check FILE` and `work FILE`. Prints a line of JSON for each: `outcome`; `cpu_s` of the
process, `decoders_s` of its children; `peak_bytes`, the most that one of them took above the
process before the file. What all of them import is imported once.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import faceengine
from faceengine.imaging import isolation


def measure(call: str, path: str) -> dict[str, Any]:
    with Path(path).open("rb") as file:
        if call == "work":
            faceengine.load()
        idle_bytes, idle_s = _peak_bytes(), _cpu_s()
        outcome = _outcome(_CALLS[call], file)
    used_s, peak_bytes, decoders_s = _cpu_s() - idle_s, _peak_bytes() - idle_bytes, 0.0
    helper = isolation._helper
    if helper is not None:  # it counts its decoders when it ends, and itself
        helper.end()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        decoders_s = children.ru_utime + children.ru_stime
        peak_bytes = max(peak_bytes, children.ru_maxrss * 1024 - idle_bytes)
    cost = {"cpu_s": used_s, "decoders_s": decoders_s, "peak_bytes": peak_bytes}
    return {"outcome": outcome, **cost}


def _work(file: Any) -> object:
    """What a worker does with an upload: it is decoded once."""
    photo = faceengine.open_photo(file)
    found = faceengine.find_faces(photo)
    return len(faceengine.draw_boxes(photo.upright(), found, in_place=True).size)


_CALLS = {"check": faceengine.check_image, "work": _work}


def _outcome(call: Any, file: Any) -> str:
    try:
        return f"taken: {call(file)}"
    except faceengine.ImageError as error:
        return f"{error.reason}: {error}"
    except faceengine.Busy as error:  # on a machine that is
        return str(error)


def _peak_bytes() -> int:
    """The most memory of this process, without what its parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            print(json.dumps(measure(*line.split())), flush=True)
            os._exit(0)
        if ended := os.waitpid(child, 0)[1]:
            print(json.dumps({"outcome": f"ended with {ended}"}), flush=True)


if __name__ == "__main__":
    main()
