"""Settings that must stand before torch and the hub's client are loaded."""

from __future__ import annotations

import os

# As the command line sets it: waiting threads that spin slow a busy machine down by a factor of ten.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No test reaches for the network; what the hub's client can't find is refused at once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
