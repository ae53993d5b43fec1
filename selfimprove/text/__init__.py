"""Text for people: how numbers are written (`formatting.py`), and foreign text made harmless (`escaping.py`)."""
