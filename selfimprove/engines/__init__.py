"""Samplers behind the `Sampler` protocol of `selfimprove.sampling`, one file each, imported only when chosen.

`transformers` runs everywhere, `vllm` in a child process group of its own, `scripted` replays answers for tests; `ray`
has many workers on a cluster, each with one of the first two. Another engine is one file here and one `case` in
`selfimprove.cli`.
"""
