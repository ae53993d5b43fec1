"""Is the challenger better? The decision of a round, by evidence that may be looked at after every batch.

`decision.py` is the gate and its design note: looks, futility, guards. `budget.py` says how much error each round may
spend, and why the sum holds when an accepted round's is carried on. `evidence.py` is the e-process on problems that
exactly one of the two models solves, `aimed.py` its last look for averages over samples. `guards.py` is the same for
sets on which an accepted challenger may not have dropped. `intervals.py` has the intervals of gains and the power to
see one, `reuse.py` what picking champions on one held-out set can have cost.
"""
