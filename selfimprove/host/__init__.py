"""This machine: what a container may use (`cgroups.py`), what work costs (`metering.py`), Ctrl-C (`stopping.py`)."""
