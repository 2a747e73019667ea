"""Structured pruning: whole filters leave a network, which becomes a smaller one."""

from __future__ import annotations

from isozoo.diagnostics.pruning.choosing import dead_filters, held_filters, weakest_filters
from isozoo.diagnostics.pruning.removal import Pruned, prune
from isozoo.diagnostics.pruning.study import FineTuning, PruningReport, prune_classifier

__all__ = [
    "FineTuning",
    "Pruned",
    "PruningReport",
    "dead_filters",
    "held_filters",
    "prune",
    "prune_classifier",
    "weakest_filters",
]
