"""A random Llama of some 24,000 weights with a byte-level tokenizer and a chat template, made on the spot.

It knows nothing and is quick: the tests run whole rounds on it in seconds.

Its end-of-sequence id is also its padding id, as in the embedded model: a mask derived from the padding id shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|start|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)
EOS = 1
"""Id of `<|end|>`: end of a turn, and the padding id."""


def make_tiny_model(
    folder: Path,
    seed: int = 0,
    *,
    tied: bool = True,
    dtype: Literal["bfloat16", "float32"] = "float32",
    sharded: bool = False,
    chat_template: str | None = CHAT_TEMPLATE,
) -> Path:
    """A folder that transformers loads, equal bytes for equal arguments; made in well under a second.

    `sharded` cuts the weights over several files with an index, as those of large models on the hub are.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(chat_template)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,  # large enough that the random model has preferences
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=EOS,
        pad_token_id=EOS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(getattr(torch, dtype))  # type: ignore[no-untyped-call]  # without stubs
    generation = GenerationConfig(bos_token_id=0, eos_token_id=EOS, pad_token_id=EOS)  # type: ignore[no-untyped-call]  # without stubs
    model.generation_config = generation
    model.save_pretrained(folder, max_shard_size="20KB" if sharded else "1GB")
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(chat_template: str | None) -> PreTrainedTokenizerFast:
    """One token per byte, after `<|start|>` (0) and `<|end|>` (1)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: number for number, token in enumerate(["<|start|>", "<|end|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # without stubs
        tokenizer_object=tokenizer, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|end|>"
    )
    fast.chat_template = chat_template
    return fast
