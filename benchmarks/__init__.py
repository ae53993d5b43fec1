"""What only developers measure; `python -m benchmarks` runs the bench."""
