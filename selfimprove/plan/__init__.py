"""What a run will take, told before anything is spent: work, time, memory and room on the disk.

`forecast.py` counts what a round takes, for every command that asks; `calibration.py` measures the rates of this
machine, `unnamed.py` chooses the recipe of a run for which none is named, `lines.py` says both in words for
`selfimprove plan`, `hope.py` holds the gain that can be hoped for against what the gate can detect, for `plan`, `run`
and `init`, and `disk.py` refuses a run that may not fit on the disk and explains what a full disk raises.
"""
