"""Small functions that the emulator's tests run behind the real runtime interface client."""

import os
import time
from typing import Any


def handler(event: Any, context: Any) -> Any:
    """Does what the event says."""
    match event.get("do"):
        case "raise":
            raise ValueError("as the event says")
        case "exit":
            os._exit(3)
        case "sleep":
            time.sleep(event["seconds"])
        case "answer":
            return "x" * event["bytes"]
        case "append":
            with open(event["file"], "a") as file:
                file.write(f"{context.aws_request_id}\n")
            raise ValueError("written, and failed")
    return {
        "pid": os.getpid(),
        "left_ms": context.get_remaining_time_in_millis(),
        "memory_mb": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
    }
