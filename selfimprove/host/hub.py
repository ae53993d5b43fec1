"""The Hugging Face hub: whether it answers, and its client kept to its cache where it doesn't.

Without a network, the client asks for each file six times and says so each time, which takes half a minute before it
looks into its cache. One question with a deadline decides at once.
"""

from __future__ import annotations

import ssl
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPException

from huggingface_hub import constants

IS_KEPT_OFFLINE = constants.HF_HUB_OFFLINE
"""Whether the user keeps the client offline (`HF_HUB_OFFLINE`)."""
SECONDS = 10.0
"""Seconds that the hub has for an answer."""


def use_cache_without_hub(seconds: float = SECONDS) -> None:
    """Keep the hub's client, and that of `datasets`, to their caches if the hub doesn't answer within `seconds`.

    They are kept to them for the rest of the process. Behind a proxy nothing is asked, since the client may know kinds
    of proxies that this question doesn't.
    """
    if constants.HF_HUB_OFFLINE or urllib.request.getproxies() or not fault_of_reaching(constants.ENDPOINT, seconds):
        return
    constants.HF_HUB_OFFLINE = True  # what the client reads at every request
    if (datasets := sys.modules.get("datasets")) is not None:
        datasets.config.HF_HUB_OFFLINE = True  # a copy, made when it was imported


def fault_of_reaching(address: str, seconds: float) -> str:
    """Why nothing answers at the address within `seconds`, the look-up of its name included; empty if it answers."""
    answers: list[str] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
                answers.append("")
        except urllib.error.HTTPError:
            answers.append("")  # an answer, if not a kind one
        except (OSError, HTTPException, ValueError) as cause:
            reason = getattr(cause, "reason", cause)
            if isinstance(reason, ssl.SSLError):  # an answer, whose certificate the client may know
                answers.append("")
                return
            answers.append(str(getattr(reason, "strerror", None) or reason))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds + 0.5)
    return answers[0] if answers else f"no answer in {seconds:g} s"
