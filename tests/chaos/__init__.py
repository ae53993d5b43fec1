"""The self-test: a small real run is killed again and again, resumed, and must end with an undisturbed run's records.

`run_chaos` runs the real loop once, undisturbed, and traces it: every event, every fault point of `store/durable.py`,
every unit of work begun. From that trace it plans the kills (`kills.py`): at each stage boundary, at fault points of
each stage (where a write is torn first), and at random instants. Then it takes run folders one after the other through
several kills each, lets the run end, and compares its records with the undisturbed ones (`chaos.py`).

*A life* is one start of the run in a process of its own (`victim.py`), forked from a server that has the libraries
loaded, ended by a real SIGKILL: sent by itself where the kill has a place (`saboteur.py`), by the parent where it has
a time (`lives.py`). Nothing of the loop, the journal, the model code or the checker is replaced.

*Work* is told in a trace file outside the run's folder, one unbuffered line before each chunk of samples and after each
optimizer step (`trace.py`). What is begun in one life and begun again in a later one was redone; a kill may cost one
sampling chunk, one judged batch, or the steps since the last training checkpoint, never more.

What a SIGKILL can't show: a power cut also loses what the disk had not synced. Its traces are the same as those made
here, a torn write or a rename that did not happen, provided that the disk keeps what it was told to sync.
"""

from __future__ import annotations

from tests.chaos.chaos import ChaosReport, run_chaos

__all__ = ["ChaosReport", "run_chaos"]
