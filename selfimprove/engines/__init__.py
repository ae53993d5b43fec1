"""Samplers behind the `Sampler` protocol of `selfimprove.sampling`, one file each, imported only when chosen.

`transformers` runs everywhere, `vllm` in a child process group of its own, `scripted` replays answers for tests; `ray`
has many workers on a cluster, each with one of the first two. `choice` says which of them `auto` is and opens it.
Another engine is one file here and one `case` there.

The transformers engine is made of `decoding` (continuous batching), `draws` (the next token from logits), and two
decoders: `rows` over the weights in `llama`, with `cache` (the KV cache), `prefill` (common prefixes of prompts) and
`native` (compiled attention), and `general`, transformers' own forward pass. `ordered` deals chunks to workers and has
their results in order; `gpus` is what the driver says of GPUs.
"""
