"""Settings that must stand before torch is loaded."""

from __future__ import annotations

import os

# As the command line sets it: waiting threads that spin slow a busy machine down by a factor of ten.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
