"""`manage.py trigger_facedetection_lambda`: submit all that waits for extraction."""

from typing import Any

from tqdm import tqdm

from backend.common.commands import ServiceCommand
from backend.photos.extraction import backends, dispatch
from backend.photos.extraction.aws_lambda import submission
from backend.photos.extraction.aws_lambda.submission import MODELS


class Command(ServiceCommand):
    help = (
        "Submits every photo and reference not yet processed, and those submitted over 7 hours ago "
        "without an answer; without Lambda to the workers. Safe to run at any time, and twice."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        match backends.mode():
            case backends.Mode.LAMBDA:
                self._submit()
            case backends.Mode.WORKERS:
                self._submit_to_workers()
            case backends.Mode.OFF:
                waiting = sum(backends.waiting(model).count() for model in MODELS.values())
                text = "Extraction is switched off (FACES_PHOTOS_EXTRACTION=off): {} wait for it."
                self.stdout.write(text.format(waiting))

    def _submit(self) -> None:
        total = sum(submission.due(model, at_once=True).count() for model in MODELS.values())
        with tqdm(total=total, unit="source", disable=None) as bar:
            done = submission.submit_due(at_once=True, on_progress=bar.update)
        text = f"Submitted {done.sources} of {total} in {done.invocations} invocations."
        self.stdout.write(text)
        if done.error:
            left = total - done.sources
            self.stderr.write(f"{done.error}. {left} will be submitted later, by themselves.")

    def _submit_to_workers(self) -> None:
        asked = 0
        for model in MODELS.values():
            waiting = backends.waiting(model)
            for source in tqdm(waiting.iterator(), total=waiting.count(), disable=None):
                asked += dispatch.submit([source])
        self.stdout.write(f"No Lambda is configured: asked the workers for {asked}.")
