"""How long an exchange with a worker may take: one rule for the process of vLLM and for the actors of a cluster.

A worker that dies is noticed by its pipe, or by Ray. One that hangs (a GPU that fell off the bus, a collective that a
partner never joined, a file system that stalled) says nothing, and without a deadline the run would wait for it for
ever. To end a slow worker costs a chunk, so the rule is generous: it bounds how long a hang is waited for, and no
engine that is worth a run comes near it.

The checker's workers (`answer/checking/process.py`) have deadlines of their own, since what they miss is a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfimprove.sampling import Request

START_SECONDS = 1800.0
"""Seconds in which a worker has fetched and loaded its model, and compiled what it compiles."""

TOKENS_PER_SECOND = 4.0
"""Tokens of prompts and completions together; two cores with a model of 7B make 10."""


def patience(chunks: Sequence[Sequence[Request]]) -> float:
    """Seconds in which a worker has sampled these chunks: those of a start, and what their tokens take."""
    tokens = sum(len(request.prompt_ids) + request.max_new_tokens for chunk in chunks for request in chunk)
    return START_SECONDS + tokens / TOKENS_PER_SECOND
