"""Crash test of the resume contract: small real runs are killed at planned points, resumed, and compared.

`run_chaos` makes one uninterrupted *reference run* and traces it: every event, every fault point of
`store/durable.py`, every unit of work begun. From the trace it plans the kills (`kill_plan.py`): at stage boundaries,
at fault points inside writes, and at random instants. It then takes one run folder after the other through several
kills, lets the run finish, and compares its records with the reference's (`harness.py`).

| module | holds |
| --- | --- |
| `harness.py` | the whole test: reference run, killed runs, comparison |
| `kill_plan.py` | which kills are tried |
| `workload.py` | the recipe and problems that every run uses |
| `attempt.py` | what one start of a run is given |
| `processes.py` | the parent's side: starts an attempt, kills it, sees that no process is left |
| `child.py`, `instrumented_run.py` | the child's side: entry points; the real loop with tracing and fault injection |
| `fault_injection.py` | kills that the child carries out on itself |
| `trace.py` | the trace file |
| `command.py`, `table.py` | the command, and its report |

An *attempt* is one start of the run in a process of its own, forked from a server that has the libraries loaded. Every
kill is a real SIGKILL: the child sends it to itself at a boundary or a fault point, the parent sends it at an instant.
Nothing of the loop, the journal, the model code or the checker is replaced.

*Lost work* is counted from a trace file outside the run's folder, which gets one unbuffered line before each chunk of
samples and after each optimizer step. A unit that two attempts began was redone. A kill may cost at most one sampling
chunk, one judged batch, or the steps since the last training checkpoint.

A SIGKILL can't show what a power cut does: unsynced data is lost too. What is then found on the disk is what this test
makes, a torn write or a missing rename, provided that the disk keeps what it has reported as synced.
"""

from __future__ import annotations

from tests.chaos.harness import ChaosReport, run_chaos

__all__ = ["ChaosReport", "run_chaos"]
