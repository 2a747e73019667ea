"""How a process of an experiment begins; imported before anything that takes time."""

from __future__ import annotations

import signal


def heed_only_termination() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that started this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
