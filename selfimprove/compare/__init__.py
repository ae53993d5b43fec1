"""Several recipes on the same problems: what `selfimprove compare` makes, keeps and tells.

An *arm* is a recipe with one value for each varied key (`arms.py`). Each arm is run once for every seed, and each such
run is an ordinary run in a folder of its own, `rounds/<name>/<arm>-s<seed>/`: it is made, stopped and gone on with as
any run is, and `report`, `verify` and `status` read it with `--rounds-dir rounds/<name>`. What is compared stands in
`rounds/<name>/compare.json` (`folder.py`), the outcome beside it (`results.json`, `compare.svg`) is made from the runs'
records alone (`outcome.py`, `pooling.py`, `tables.py`, `plot.py`) and can be made again at any time.

What makes a comparison fair:

- **Same problems.** All arms have equal sections `model`, `problems` and `answers`, so they share training pool,
  held-out problems, sealed problems and checker; anything else is refused by the name of the key. The seed of a run
  (`seed`) changes what is sampled and how it is trained, never which problems there are (`problems.seed`).
- **Same budget**, if one is asked for (`budget.py`): equal rows sampled, or equal tokens sampled and trained, in a
  round. The table shows the tokens that were really spent.
- **Seed by seed.** All arms are run with seed 0, then all with seed 1, so what is there at any time compares like with
  like.
- **Failures stay in.** An arm whose round ends without a usable result is shown as failed, with its reason; the
  others go on.
"""
