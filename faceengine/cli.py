"""The command line: `python -m faceengine detect|encode|draw|compare FILES…`, `convert`, `fetch`,
`warm`.

Results go to standard output, as JSON lines (default) or as a table; progress and errors go to
standard error. A file that can not be used does not stop the others. Exit codes: 0 all well, 1 some
file could not be used, 2 the command line makes no sense or a model can not be loaded.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faceengine
from faceengine import encoders, reports
from faceengine.reports import Report, Row


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (faceengine.ModelError, faceengine.ImageError) as error:
        print(f"faceengine: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        print(f"faceengine: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output has closed it (`… | head`). Python flushes the rest at its end:
        # to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    faceengine.configure(
        model_cache=options.model_cache,
        providers=options.provider,
        yunet_model=options.yunet_model,
    )
    if options.command in ("fetch", "warm"):
        return _fetch() if options.command == "fetch" else _warm(options)
    if options.command == "convert":
        return _convert(options)
    options.encoder = faceengine.open_encoder(getattr(options, "encoder", "dlib"))
    faceengine.load(options.detector, options.encoder)
    rows = _compare(options) if options.command == "compare" else _each(options)
    report = Report(table=options.table)
    for row in rows:
        report.add(row)
    report.close()
    return 1 if report.failed else 0


def _fetch() -> int:
    from faceengine.detection import yunet_weights

    print(f"the weights of yunet are in {yunet_weights.fetch()}")
    return 0


def _convert(options: argparse.Namespace) -> int:
    encoder = encoders.convert(options.file, options.folder)
    print(f"{encoder.name}, {encoder.dimensions} numbers, is in {options.folder}")
    if encoder.thresholds is None:
        print(f"it has no [thresholds] in {options.folder / encoders.FACTS}", file=sys.stderr)
    return 0


def _warm(options: argparse.Namespace) -> int:
    from faceengine.runtime import cache_folder

    encoder = faceengine.open_encoder(options.encoder)
    for detector in faceengine.DETECTORS:
        if faceengine.is_available(detector):
            faceengine.load(detector, encoder)
        else:
            print(f"{detector} is left out: its weights were not fetched", file=sys.stderr)
    print(f"models are ready in {cache_folder()}")
    return 0


def _each(options: argparse.Namespace) -> Iterator[Row]:
    """A row for each file, of detect, encode or draw."""
    work = _drawn if options.command == "draw" else _faces
    for file in _progress(options):
        yield _tried(file, lambda file: work(file, options))


def _compare(options: argparse.Namespace) -> Iterator[Row]:
    """Every face of every file with every face of the reference."""
    threshold = _threshold(options)
    reference = _found(options.reference, options, encode=True)
    for file in _progress(options):
        row = _tried(file, lambda file: {"faces": _found(file, options, encode=True)})
        if "error" in row:
            yield row
            continue
        for index, face in enumerate(row["faces"]):
            for number, known in enumerate(reference):
                assert face.encoding is not None and known.encoding is not None
                distance = faceengine.distance(face.encoding, known.encoding)
                yield {
                    "file": row["file"],
                    "face": index,
                    "reference_face": number,
                    "distance": round(distance, 6),
                    "same_person": distance <= threshold,
                }


def _threshold(options: argparse.Namespace) -> float:
    """The distance up to which two faces are one person's: as named, or the encoder's."""
    if options.threshold is not None:
        return float(options.threshold)
    if options.encoder.thresholds is None:
        raise faceengine.ModelError("The encoder has no threshold of its own: name --threshold.")
    return float(options.encoder.thresholds.same_person)


def _faces(file: Path, options: argparse.Namespace) -> Row:
    encode = options.command == "encode"
    faces = [reports.described(face) for face in _found(file, options, encode=encode)]
    return {"model": options.encoder.name, "faces": faces} if encode else {"faces": faces}


def _found(file: Path, options: argparse.Namespace, *, encode: bool) -> list[faceengine.Face]:
    limit = options.max_detection_pixels
    return faceengine.find_faces(
        file, options.detector, encode, encoder=options.encoder, max_detection_pixels=limit
    )


def _drawn(file: Path, options: argparse.Namespace) -> Row:
    image = faceengine.load_image(file)
    limit = options.max_detection_pixels
    faces = faceengine.find_faces(image, options.detector, False, max_detection_pixels=limit)
    folder = options.output or file.parent
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{file.stem}.faces.jpg"
    faceengine.draw_boxes(image, faces).save(output, "JPEG", quality=90)
    return {"output": str(output), "faces": [reports.described(face) for face in faces]}


def _tried(file: Path, work: Any) -> Row:
    """The row that `work` makes of `file`, or one with its error."""
    try:
        return {"file": str(file), **work(file)}
    except faceengine.ImageError as error:
        return {"file": str(file), "error": str(error), "reason": str(error.reason)}
    except OSError as error:
        return {"file": str(file), "error": error.strerror or str(error), "reason": "unreadable"}


def _progress(options: argparse.Namespace) -> Iterator[Path]:
    from tqdm import tqdm

    files: Sequence[Path] = options.files
    # None: only where standard error is a terminal. One file needs no bar.
    quiet = True if options.quiet or len(files) < 2 else None
    yield from tqdm(files, unit="file", disable=quiet, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faceengine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("detect", "where the faces are, and how good they are"),
        ("encode", "the same, with each face's numbers"),
        ("draw", "write NAME.faces.jpg with a box round each face"),
        ("compare", "how far the faces of FILES are from those of REFERENCE"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        _add_running(command)
        _add_searching(command)
        if name in ("encode", "compare"):
            _add_encoder(command)
        if name == "compare":
            command.add_argument("reference", type=Path, metavar="REFERENCE")
            command.add_argument("--threshold", type=float, help="default: the encoder's")
        if name == "draw":
            command.add_argument("--output", type=Path, help="the folder to write to")
        command.add_argument("files", type=Path, nargs="+", metavar="FILES")
    text = "convert the models now, at install time, so that no later start has to"
    command = commands.add_parser("warm", help=text, description=text)
    _add_running(command)
    _add_encoder(command)
    text = "convert an encoder's ONNX file, or that of a pack's folder, into the new folder FOLDER"
    command = commands.add_parser("convert", help=text, description=text)
    _add_running(command)
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("folder", type=Path, metavar="FOLDER")
    text = "download the weights of the detector yunet into the model cache, at install time"
    _add_running(commands.add_parser("fetch", help=text, description=text))
    return parser


def _add_running(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model-cache", type=Path, help="the folder of the converted models")
    command.add_argument("--yunet-model", type=Path, metavar="FILE", help="YuNet of OpenCV Zoo")
    command.add_argument(
        "--provider", action="append", choices=("cpu", "cuda", "openvino"), help="default: cpu"
    )


def _add_encoder(command: argparse.ArgumentParser) -> None:
    text = "an encoder's ONNX file or folder (default: dlib)"
    command.add_argument("--encoder", default="dlib", metavar="PATH", help=text)


def _add_searching(command: argparse.ArgumentParser) -> None:
    command.add_argument("--detector", choices=faceengine.DETECTORS, default="hog")
    command.add_argument("--max-detection-pixels", type=_pixels, default=1920 * 1080, metavar="N")
    command.add_argument("--table", action="store_true", help="a table instead of JSON lines")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _pixels(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
