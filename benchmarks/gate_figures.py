"""Rates of a simulation with their bounds, in words."""

from __future__ import annotations

import numpy as np
from gate_draws import Flags
from numpy.typing import NDArray


def any_round(flags: Flags) -> Flags:
    """Whether it happened in any round, (repeats,), of flags (repeats, rounds)."""
    return np.asarray(flags.any(axis=1))


def upper_bound(hits: int, repeats: int) -> float:
    """Clopper and Pearson's one-sided upper 95% bound of a rate."""
    from scipy.stats import beta

    return float(beta.ppf(0.95, hits + 1, repeats - hits)) if hits < repeats else 1.0


def lower_bound(hits: int, repeats: int) -> float:
    """The lower one."""
    from scipy.stats import beta

    return float(beta.ppf(0.05, hits, repeats - hits + 1)) if hits else 0.0


def rate_told(flags: Flags) -> str:
    """A rate with 1.96 standard errors."""
    half = 1.96 * np.sqrt(flags.mean() * (1 - flags.mean()) / len(flags))
    return f"{flags.mean():.4f} ± {half:.4f} ({len(flags):,})"


def mean_told(values: NDArray[np.float64]) -> str:
    """A mean share with 1.96 standard errors."""
    return f"{values.mean():.1%} ± {196 * values.std() / np.sqrt(len(values)):.1f}"


def ratio_of(top: Flags, bottom: Flags) -> tuple[float, float]:
    """Ratio of two paired rates and 1.96 standard errors of it (delta method)."""
    ratio = top.mean() / bottom.mean()
    spread = (top - ratio * bottom).std() / bottom.mean() / np.sqrt(len(top))
    return float(ratio), float(1.96 * spread)


def met_told(held: bool) -> str:
    """Whether a target was met, in a cell."""
    return "yes" if held else "**no**"
