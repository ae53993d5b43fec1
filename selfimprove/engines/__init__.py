"""Samplers behind the `Sampler` protocol of `selfimprove.sampling`, one file each, imported only when chosen.

`transformers` runs everywhere, `vllm` in a child process group of its own, `scripted` replays answers for tests.
Another engine is one file here and one `case` in `selfimprove.cli`.
"""
