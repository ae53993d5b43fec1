"""Samplers behind the `Sampler` protocol of `selfimprove.sampling`, one file each, imported only when chosen.

`transformers` runs everywhere, `vllm` in a child process group of its own, `scripted` replays answers for tests; `ray`
has many workers on a cluster, each with one of the first two. `choice` says which of them `auto` is. Another engine is
one file here and one `case` in `selfimprove.runs.assemble`.

The transformers engine is made of `decoding` (who runs when), `draws` (which token), and two decoders: `rows` over the
weights in `llama`, with `cache`, `heads` and `native` (compiled attention), and `general`, transformers' own forward
pass. `gpus` asks the driver for the vLLM engine.
"""
