"""Measurements of this program beside others: each in processes of their own, repeated, with their spread."""
