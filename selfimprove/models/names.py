"""Under which name the files of a model folder hold a weight of the model's class.

Mostly it is the same name. Where a class renames on loading (Gemma 3's files have `language_model.model.layers…`, its
class has `model.language_model.layers…`), transformers' own table of renamings is asked, in the direction of loading.
A weight that transformers makes of others (the fused experts of a mixture) has no name in the files.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from selfimprove.models.renaming import loaded_names
from selfimprove.models.soundness import skeleton_of
from selfimprove.models.weights import tensor_heads


def stored_names(folder: Path, weights: Collection[str], trust_remote_code: bool = False) -> dict[str, str]:
    """The name in the folder's files of each of these weights of its class; those that no file holds are left out."""
    stored = tensor_heads(folder).keys()
    own = {weight: weight for weight in weights if weight in stored}
    if len(own) == len(weights):
        return own
    lacking = set(weights) - own.keys()
    renamed = _loaded_names(folder, trust_remote_code)
    return own | {weight: name for name, weight in renamed.items() if weight in lacking}


def _loaded_names(folder: Path, trust_remote_code: bool) -> dict[str, str]:
    """The name that the class has for each tensor of the folder's files, but for those it makes something else of."""
    found = loaded_names(skeleton_of(str(folder), folder, trust_remote_code), tensor_heads(folder))
    return {name: own for name, (own, made) in found.items() if not made}
