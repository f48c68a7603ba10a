"""Run the function as Lambda would, without AWS.

python -m lambdaworker.emulator
curl -XPOST localhost:9000/2015-03-31/functions/function/invocations -d '{"api_url": …}'
"""

import argparse
import json
import logging
import os
import signal
import threading
from pathlib import Path

from lambdaworker.emulator.function import MAX_EVENT_BYTES, Answer, Function, Invocation
from lambdaworker.emulator.http import Server
from lambdaworker.emulator.invoke import InvokeApi
from lambdaworker.emulator.lambdas import DeadLetter, Lambda


def main() -> None:
    options = _options()
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    keep = _kept_in(options.dead_letters) if options.dead_letters else None
    emulated = Lambda(_function(options), on_dead_letter=keep)
    server = Server((options.bind, options.port), InvokeApi, emulated)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    server.start()
    path = "2015-03-31/functions/function/invocations"
    print(f"Lambda is emulated at http://{options.bind}:{server.port}/{path}", flush=True)
    over.wait()
    server.stop()
    emulated.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lambdaworker.emulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = Function()
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any that is free")
    parser.add_argument("--handler", default=known.handler)
    parser.add_argument("--instances", type=int, default=known.instances, help="at once at most")
    parser.add_argument("--memory", type=int, default=known.memory_mb, metavar="MB")
    parser.add_argument("--timeout", type=float, default=known.timeout_s, metavar="S")
    parser.add_argument("--max-event-bytes", type=int, default=MAX_EVENT_BYTES, metavar="BYTES")
    parser.add_argument(
        "--retry-delays", default="60,120", metavar="S,S", help="before a failed event is retried"
    )
    parser.add_argument(
        "--dead-letters", type=Path, metavar="FILE", help="a JSON line for each; holds tokens"
    )
    return parser.parse_args()


def _function(options: argparse.Namespace) -> Function:
    delays = [float(each) for each in options.retry_delays.split(",") if each]
    return Function(
        handler=options.handler,
        memory_mb=options.memory,
        timeout_s=options.timeout,
        instances=max(1, options.instances),
        retry_delays_s=delays,
        max_event_bytes=options.max_event_bytes,
    )


def _kept_in(path: Path) -> DeadLetter:
    def keep(invocation: Invocation, answer: Answer) -> None:
        letter = {
            "requestId": invocation.id,
            "attempts": invocation.attempt,
            "requestPayload": json.loads(invocation.payload),
            "responsePayload": json.loads(answer.body or b"null"),
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
            file.write(json.dumps(letter) + "\n")

    return keep


if __name__ == "__main__":
    main()
