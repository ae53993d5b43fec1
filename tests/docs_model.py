"""A tiny model that speaks briefly: it answers every question with a digit, seldom two, and then ends its turn.

A random model is no stand-in for one that a page names: it never ends an answer, so each costs `max_new_tokens`, and
its best tokens are nearly equal. This one is a chain of tokens: what follows depends on the last token alone, with
clear preferences. Its linear layers are small, so they add next to nothing at first, and lie on so fine a grid of
bfloat16 that the small steps of the default learning rate survive rounding: the merge certificate is passed.
"""

from __future__ import annotations

from pathlib import Path

from selfimprove.models.tiny import EOS, make_tiny_model

LIKED = 7
"""The digit it likes best."""
_SMALL = 0.005
"""Factor on the linear layers of the tiny random model, whose weights have a deviation of 0.2."""


def make_talker(folder: Path) -> Path:
    """A folder that transformers loads, of a model that says a digit and stops; equal bytes each time."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    make_tiny_model(folder, tied=False, dtype="bfloat16")
    vocabulary = AutoTokenizer.from_pretrained(folder).get_vocab()
    newline, digits = vocabulary["Ċ"], [vocabulary[str(number)] for number in range(10)]
    weights = {name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()}
    said, heard = torch.zeros_like(weights["lm_head.weight"]), torch.zeros_like(weights["lm_head.weight"])
    heard[:, 0] = 1  # anything: a line's end follows
    heard[[newline, *digits, EOS]] = 0
    heard[newline, 1], heard[EOS, 2] = 1, 1
    said[newline, [0, 2]] = 2  # after anything, and where the end of the turn is held back
    said[digits, 1] = 1.8  # a turn begins with a line's end
    said[digits[LIKED], 1] = 2.1
    for place, digit in enumerate(digits):
        heard[digit, 3], heard[digit, 4 + place] = 1, 0.3
    said[EOS, 3] = 2.4
    said[digits, 3] = torch.tensor([1.9 if digit == digits[LIKED] else 1.7 for digit in digits])
    small = {name: weight * _SMALL for name, weight in weights.items() if weight.dim() == 2}
    weights |= small | {"lm_head.weight": said, "model.embed_tokens.weight": heard}
    save_file(
        {name: weight.to(torch.bfloat16).contiguous() for name, weight in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    return folder
