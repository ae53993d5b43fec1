"""What a run will take, told before anything is spent: work, time, memory and room on the disk.

`forecast.py` says what `selfimprove plan` prints, `calibration.py` measures the rates of this machine, `disk.py` holds
the bytes that a run may need and explains what a full disk raises.
"""
