"""Measurements of this program, one file each: a function that measures and returns what it found as a value."""
