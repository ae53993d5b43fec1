"""This machine: limits of containers (`cgroups.py`), what is asked of its GPUs (`gpus.py`), stop signals
(`stopping.py`), and the time, memory and energy that a stage used (`metering.py`)."""
