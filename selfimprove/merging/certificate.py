"""Whether a merge can be trusted: does the merged model do what the adapter taught? A figure that is missing fails.

The question is about function. On canary prompts (`merging/canaries.py`), in nats for each token, KL(adapter ‖ merged)
is held against KL(adapter ‖ parent):

    functional_share    1 − mean KL(adapter ‖ merged) / mean KL(adapter ‖ parent)

1 is a merge that equals its parent with the adapter on it; 0 is one that is no nearer to it than the parent as it was:
the update is lost, or the noise of rounding is as large as the update. Its 95% interval is a bootstrap over the
tokens, and its lower end must reach `merging.min_functional_share`.

What happened to the weights stands beside it, without a bound. For each weight let p = base + Σ accepted deltas in
float32, d this round's delta (the *intended* change), m the merged weight as stored, q the parent's as stored (what was
judged), and a = m − q the *actual* change. Over all weights that this round's adapter touches:

    survival            ⟨a, d⟩ / ⟨d, d⟩     the share of the intended change that arrived, along its own direction
    relative_error      ‖a − d‖ / ‖d‖       rounding noise beside it; 0 is exact
    unchanged_weights   share with m = q
    delta_norm          ‖d‖ / ‖p‖

They are the wrong figures to judge by: stochastic rounding keeps all of the change on average at a relative error
above 1, and that noise, spread over all weights, hardly shows in what the model says. Over all weights,
`identical_to_parent` (m = q everywhere) must be false, and `parent_is_chain` (q is p rounded, everywhere) true.

*Failing closed.* `failures_of` passes a certificate only if every figure is there and a finite number, every flag says
what it must, and every file was carried over. A figure that is not finite is stored as null. `docs/certificate.md` has
what was measured, and why the bound is what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfimprove.merging.canaries import Likeness
from selfimprove.merging.rounding import all_finite
from selfimprove.recipe import Merging
from selfimprove.store.records import LARGEST, Certificate

FIGURES = (
    "survival",
    "relative_error",
    "unchanged_weights",
    "delta_norm",
    "kl",
    "kl_parent",
    "functional_share",
    "functional_low",
    "functional_high",
    "agreement",
)
"""The certificate's keys that must be finite numbers."""

COUNTS = ("touched_weights", "canary_tokens")
"""The certificate's keys that must be above 0: figures over nothing certify nothing."""


@dataclass(frozen=True)
class Change:
    """Sums over some weights, as named in the module docstring; the first six over those that d touches."""

    along: float = 0.0  # ⟨a, d⟩
    intended: float = 0.0  # ⟨d, d⟩
    error: float = 0.0  # ‖a − d‖²
    before: float = 0.0  # ‖p‖²
    touched: int = 0
    unchanged: int = 0
    finite: bool = True
    identical: bool = True
    parent_is_chain: bool = True

    def survival(self) -> float:
        """⟨a, d⟩ / ⟨d, d⟩, 0 where nothing was intended."""
        return self.along / self.intended if self.intended else 0.0

    def relative_error(self) -> float:
        """‖a − d‖ / ‖d‖, 0 where nothing was intended."""
        return math.sqrt(self.error / self.intended) if self.intended else 0.0

    def unchanged_share(self) -> float:
        """Share of the touched weights with m = q."""
        return self.unchanged / self.touched if self.touched else 1.0

    def delta_norm(self) -> float:
        """‖d‖ / ‖p‖."""
        return math.sqrt(self.intended / self.before) if self.before else 0.0


def measure(before: Tensor, delta: Tensor, merged: Tensor, expected: Tensor, parent: Tensor | None) -> Change:
    """The change of rows of a weight that the adapter touches: p and d in float32, m, p as stored, and q.

    No q: the parent has no such weight.
    """
    if parent is None or parent.shape != merged.shape or parent.dtype != merged.dtype:
        return untouched(merged, parent)
    stored, judged = merged.float(), parent.float()
    finite, actual = all_finite(stored), stored - judged
    along, error = _dot(actual, delta), actual - delta
    unchanged = merged.numel() - int(actual.count_nonzero())
    return Change(
        along=along,
        intended=_dot(delta, delta),
        error=_dot(error, error),
        before=_dot(before, before),
        touched=merged.numel(),
        unchanged=unchanged,
        finite=finite,
        identical=unchanged == merged.numel(),
        parent_is_chain=not (expected.float() - judged).count_nonzero(),
    )


def untouched(merged: Tensor, parent: Tensor | None) -> Change:
    """The change of one weight that the adapter leaves alone: m must be q, which is p as stored."""
    same = parent is not None and parent.dtype == merged.dtype and torch.equal(merged, parent)
    return Change(finite=all_finite(merged), identical=same, parent_is_chain=same)


def total_change(changes: Sequence[Change]) -> Change:
    """The change over all weights; sums that do not depend on the order of the weights."""
    return Change(
        along=_total(c.along for c in changes),
        intended=_total(c.intended for c in changes),
        error=_total(c.error for c in changes),
        before=_total(c.before for c in changes),
        touched=sum(c.touched for c in changes),
        unchanged=sum(c.unchanged for c in changes),
        finite=all(c.finite for c in changes),
        identical=all(c.identical for c in changes),
        parent_is_chain=all(c.parent_is_chain for c in changes),
    )


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The merged folder: its SHA-256, those of the adapters in it, its type, and which files it carried over."""

    sha256: str
    adapters: tuple[str, ...]
    dtype: str
    rounding: str
    carried_over: dict[str, bool]


def certify(change: Change, likeness: Likeness, merged: Merged, settings: Merging) -> Certificate:
    """The certificate with its verdict: `failures`, and `passed` if there are none."""
    figures = Certificate(
        identical_to_parent=change.identical,
        parent_is_chain=change.parent_is_chain,
        finite=change.finite,
        survival=_finite(change.survival()),
        relative_error=_finite(change.relative_error()),
        unchanged_weights=_finite(change.unchanged_share()),
        delta_norm=_finite(change.delta_norm()),
        touched_weights=change.touched,
        kl=_finite(likeness.kl),
        kl_parent=_finite(likeness.kl_parent),
        functional_share=_finite(likeness.share),
        functional_low=_finite(likeness.low),
        functional_high=_finite(likeness.high),
        agreement=_finite(likeness.agreement),
        canary_tokens=likeness.tokens,
        **vars(merged),
    )
    failures = failures_of(figures, settings)
    return figures.model_copy(update={"passed": not failures, "failures": tuple(failures)})


def failures_of(certificate: Certificate, settings: Merging) -> list[str]:
    """Why the merge can't be trusted, one line a reason; empty if every figure is there and within its bound."""
    faults = {
        "the merged model is identical to its parent": certificate.identical_to_parent is not False,
        "the parent is not the base with the accepted chain": certificate.parent_is_chain is not True,
        "a merged weight is not finite": certificate.finite is not True,
    }
    missing = [f"{name} is missing or not a finite number" for name in FIGURES if getattr(certificate, name) is None]
    return [
        *(fault for fault, holds in faults.items() if holds),
        *missing,
        *(f"{name} is not above 0" for name in COUNTS if not getattr(certificate, name)),
        *_bound_missed(certificate, settings),
        *_not_carried(certificate.carried_over),
    ]


def _bound_missed(certificate: Certificate, settings: Merging) -> list[str]:
    """Why the merged model isn't clearly nearer to the adapter than its parent; nothing where a figure is missing."""
    share, low, high = certificate.functional_share, certificate.functional_low, certificate.functional_high
    if share is None or low is None or high is None or low >= settings.min_functional_share:
        return []
    return [
        f"the merged model keeps {share:.2f} of what the adapter does (95% interval {low:.2f} to {high:.2f}, "
        f"which must begin at {settings.min_functional_share} or above)"
    ]


def _not_carried(carried: Mapping[str, bool]) -> list[str]:
    if "config.json" not in carried:
        return ["nothing says which files were carried over"]
    lost = [name for name, equal in carried.items() if not equal]
    return [f"not carried over from base and parent: {', '.join(lost)}"] if lost else []


def _finite(value: float) -> float | None:
    return value if abs(value) < LARGEST else None


def _total(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) if all(map(math.isfinite, listed)) else math.nan  # fsum raises where infinities meet


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())  # torch sums float32 in a tree: some 1e-7 off for a million numbers
