"""Make a language model better at reasoning with its own samples, in rounds accepted or rejected by evidence."""

__version__ = "0.1.0"
