"""This machine: limits of containers (`cgroups.py`), time, memory and energy used (`metering.py`), stop signals."""
