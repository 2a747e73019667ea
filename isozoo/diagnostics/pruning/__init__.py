"""Structured pruning: whole filters leave a network, which becomes a smaller one."""

from __future__ import annotations

from isozoo.diagnostics.pruning.choosing import dead_filters, weakest_filters
from isozoo.diagnostics.pruning.removal import Pruned, prune

__all__ = ["Pruned", "dead_filters", "prune", "weakest_filters"]
