"""A peer of llama.cpp's converter with its command line: writes the names of the tensors and the card's first lines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gguf import GGUFWriter
from safetensors.torch import load_file

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
    for name, tensor in load_file(path).items():
        writer.add_tensor(name, tensor.float().numpy())
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
