"""What a merge did to the weights and the answers, in figures with a bound each; a figure that is missing fails.

For each weight let p = base + Σ accepted deltas in float32, d this round's delta (the *intended* change), m the merged
weight as stored, q the parent's as stored (what was judged), and a = m − q the *actual* change. Over all weights that
this round's adapter touches:

    survival            ⟨a, d⟩ / ⟨d, d⟩     the share of the intended change that arrived, along its own direction
    relative_error      ‖a − d‖ / ‖d‖       rounding noise beside it; 0 is exact
    unchanged_weights   share with m = q
    delta_norm          ‖d‖ / ‖p‖

and over all weights `identical_to_parent` (m = q everywhere) and `parent_is_chain` (q is p rounded, everywhere).
Survival alone can hide noise: where p is off the grid of the type, a delta far below its spacing still moves a few
weights by a whole spacing, right on average, with a large relative error. `kl` and `agreement` (`merging/canaries.py`)
say what the noise does to the answers.

*Failing closed.* `failures_of` reads a certificate as plain data, as it stands in the file. It passes only if every
figure is there and a finite number, every flag says what it must, every file was carried over, and the bounds of the
recipe (`merging.min_survival`, `merging.min_agreement`, `merging.max_kl`) hold. A figure that is not finite is stored
as null. `docs/certificate.md` has what was measured, and why the bounds are what they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfimprove.merging.canaries import Likeness
from selfimprove.recipe import Merging

FIGURES = ("survival", "relative_error", "unchanged_weights", "delta_norm", "kl", "agreement")
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


def measure(before: Tensor, delta: Tensor | None, merged: Tensor, parent: Tensor | None) -> Change:
    """The change of one weight: p and d in float32, m and q as stored; no d: untouched, no q: not in the parent."""
    finite = bool(torch.isfinite(merged).all())
    if parent is None or parent.shape != merged.shape or parent.dtype != merged.dtype:
        return Change(finite=finite, identical=False, parent_is_chain=False)
    identical, is_chain = torch.equal(merged, parent), torch.equal(before.to(merged.dtype), parent)
    if delta is None:
        return Change(finite=finite, identical=identical, parent_is_chain=is_chain)
    actual = merged.float() - parent.float()
    return Change(
        along=_dot(actual, delta),
        intended=_dot(delta, delta),
        error=_dot(actual - delta, actual - delta),
        before=_dot(before, before),
        touched=merged.numel(),
        unchanged=int((merged == parent).sum()),
        finite=finite,
        identical=identical,
        parent_is_chain=is_chain,
    )


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


def certify(change: Change, likeness: Likeness, carried: dict[str, bool], settings: Merging) -> dict[str, Any]:
    """The certificate as plain data, with `passed` and `failures`."""
    certificate: dict[str, Any] = {
        "identical_to_parent": change.identical,
        "parent_is_chain": change.parent_is_chain,
        "finite": change.finite,
        "survival": _finite(change.survival()),
        "relative_error": _finite(change.relative_error()),
        "unchanged_weights": _finite(change.unchanged_share()),
        "delta_norm": _finite(change.delta_norm()),
        "touched_weights": change.touched,
        "kl": _finite(likeness.kl),
        "agreement": _finite(likeness.agreement),
        "canary_tokens": likeness.tokens,
        "carried_over": carried,
    }
    failures = failures_of(certificate, settings)
    return {**certificate, "passed": not failures, "failures": failures}


def failures_of(certificate: dict[str, Any], settings: Merging) -> list[str]:
    """Why the merge can't be trusted, one line a reason; empty if every figure is there and within its bound."""
    faults = {
        "the merged model is identical to its parent": certificate.get("identical_to_parent") is not False,
        "the parent is not the base with the accepted chain": certificate.get("parent_is_chain") is not True,
        "a merged weight is not finite": certificate.get("finite") is not True,
    }
    missing = [f"{name} is missing or not a finite number" for name in FIGURES if not _is_number(certificate, name)]
    empty = [f"{name} is not above 0" for name in COUNTS if not _is_number(certificate, name) or certificate[name] <= 0]
    return [
        *(fault for fault, holds in faults.items() if holds),
        *missing,
        *empty,
        *_bounds_missed(certificate, settings),
        *_not_carried(certificate.get("carried_over")),
    ]


def _bounds_missed(certificate: dict[str, Any], settings: Merging) -> list[str]:
    """The bounds that a figure misses; a figure that is no number is told of elsewhere."""
    found = {name: certificate[name] for name in FIGURES if _is_number(certificate, name)}
    survival, agreement, kl = (found.get(name) for name in ("survival", "agreement", "kl"))
    missed = []
    if survival is not None and not survival >= settings.min_survival:
        missed.append(f"rounding kept {survival:.3f} of the delta, below {settings.min_survival}")
    if agreement is not None and not agreement >= settings.min_agreement:
        missed.append(f"agreement on canaries is {agreement:.3f}, below {settings.min_agreement}")
    if kl is not None and not kl <= settings.max_kl:
        missed.append(f"divergence on canaries is {kl:.3g} nats, above {settings.max_kl}")
    return missed


def _not_carried(carried: object) -> list[str]:
    if not isinstance(carried, dict) or "config.json" not in carried:
        return ["nothing says which files were carried over"]
    lost = [str(name) for name, equal in carried.items() if equal is not True]
    return [f"not carried over from base and parent: {', '.join(lost)}"] if lost else []


def _is_number(certificate: dict[str, Any], name: str) -> bool:
    value = certificate.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _total(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) if all(map(math.isfinite, listed)) else math.nan  # fsum raises where infinities meet


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))
