"""A peer of llama.cpp's converter with its command line: writes the names of the tensors and the card's first lines.

It reads weights without torch, whose import takes longer than all that it does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter


def tensors(path: Path) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.float32]]]]:
    """The tensors of a file of bfloat16 or float32, in float32."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    for name, told in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, last = told["data_offsets"]
            half = np.frombuffer(data[begin + first : begin + last], np.uint16)
            numbers = half.astype(np.uint32) << 16 if told["dtype"] == "BF16" else half
            yield name, numbers.view(np.float32).reshape(told["shape"])


words = argparse.ArgumentParser()
words.add_argument("model", type=Path)
words.add_argument("--outfile", type=Path, required=True)
words.add_argument("--outtype", choices=["f32", "bf16", "f16", "q8_0"], required=True)
typed = words.parse_args()
if "refused" in typed.model.name:
    sys.exit("a first line\nNotImplementedError: not \x1b[31mrecognized\n\n")
writer = GGUFWriter(typed.outfile, "llama")
writer.add_name(typed.model.name)
writer.add_string("test.outtype", typed.outtype)
writer.add_string("test.card", (typed.model / "README.md").read_text()[:200])
for path in sorted(typed.model.glob("*.safetensors")):
    for name, tensor in tensors(path):
        writer.add_tensor(name, tensor)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
