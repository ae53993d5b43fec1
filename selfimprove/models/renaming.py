"""Under which name a model's class holds what its files hold, by transformers' own table of renamings on loading."""

from __future__ import annotations

from collections.abc import Iterable

import transformers
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key


def loaded_names(model: transformers.PreTrainedModel, stored: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """For each name in the files that in the class, and whether several tensors are made into one weight there.

    `model` may be without memory for its weights.
    """
    table = get_model_conversion_mapping(model)
    renamings = [entry for entry in table if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in table if isinstance(entry, WeightConverter)]
    prefix, wanted = model.base_model_prefix, model.state_dict()
    renamed = {name: rename_source_key(name, renamings, converters, prefix, wanted) for name in stored}
    return {name: (own, converted is not None) for name, (own, converted) in renamed.items()}
