"""Tiny random models of many architectures, saved as transformers saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf

from selfimprove.models.tiny import CHAT_TEMPLATE, EOS, make_tokenizer

WINDOW = 16
"""Tokens that a layer with a window attends to."""

SIZE: dict[str, Any] = {
    "vocab_size": 258,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": EOS,
    "pad_token_id": EOS,
}
GEMMA: dict[str, Any] = {
    **SIZE,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 8,
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention", "full_attention"],
}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LINEAR: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "factor": 2.0,
    "rope_theta": 1e4,
    "original_max_position_embeddings": 1024,
}


def _gemma3() -> hf.PreTrainedModel:
    """The composite class, with a vision tower whose layers have the names of the decoder's."""
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"boi_token_index": 255, "eoi_token_index": 256, "image_token_index": 257}
    return hf.Gemma3ForConditionalGeneration(
        hf.Gemma3Config(
            text_config=GEMMA,
            vision_config={**vision, "image_size": 28, "patch_size": 14},
            mm_tokens_per_image=4,
            bos_token_id=0,
            eos_token_id=EOS,
            pad_token_id=EOS,
            **ids,
        )
    )


def _gpt_oss() -> hf.PreTrainedModel:
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    return hf.GptOssForCausalLM(hf.GptOssConfig(**SIZE, **experts, sliding_window=WINDOW, rope_parameters=YARN))


MAKERS: dict[str, Callable[[], hf.PreTrainedModel]] = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SIZE)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SIZE)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**SIZE)),
    "qwen3_moe": lambda: hf.Qwen3MoeForCausalLM(hf.Qwen3MoeConfig(**SIZE, **EXPERTS, mlp_only_layers=[1])),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**SIZE, sliding_window=WINDOW)),
    "phi3": lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**SIZE)),
    "gemma3_text": lambda: hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**GEMMA)),
    "gemma3": _gemma3,
    "gpt_oss": _gpt_oss,
    "olmo2": lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**SIZE)),
    "granite": lambda: hf.GraniteForCausalLM(hf.GraniteConfig(**SIZE)),
    "stablelm": lambda: hf.StableLmForCausalLM(hf.StableLmConfig(**SIZE)),
    "lfm2": lambda: hf.Lfm2ForCausalLM(hf.Lfm2Config(**SIZE, layer_types=["conv", "full_attention"])),
    "qwen3_5": lambda: hf.Qwen3_5ForCausalLM(hf.Qwen3_5TextConfig(**SIZE, **LINEAR)),
    "llama4": lambda: hf.Llama4ForCausalLM(hf.Llama4TextConfig(**SIZE, num_local_experts=2, intermediate_size_mlp=48)),
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**SIZE)),
}
UNFIT: dict[str, Callable[[], hf.PreTrainedModel]] = {
    "mamba2": lambda: hf.Mamba2ForCausalLM(
        hf.Mamba2Config(**SIZE | {"head_dim": 16}, num_heads=4, n_groups=1, state_size=8)
    ),
    "rwkv": lambda: hf.RwkvForCausalLM(hf.RwkvConfig(vocab_size=258, hidden_size=32, num_hidden_layers=2)),
    "bart": lambda: hf.BartForCausalLM(
        hf.BartConfig(vocab_size=258, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=32)
    ),
}
"""Architectures that the transformers engine can't sample from, or not rightly."""


def make_model(name: str, folder: Path) -> Path:
    """A random model of the architecture, in float32, with the tiny model's tokenizer; equal for equal names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MAKERS[name]().float()
    model.generation_config = hf.GenerationConfig(bos_token_id=0, eos_token_id=EOS, pad_token_id=EOS)
    model.save_pretrained(folder)
    make_tokenizer(CHAT_TEMPLATE).save_pretrained(folder)
    return folder
