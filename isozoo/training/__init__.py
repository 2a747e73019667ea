"""Training from a recipe, checkpoints that survive a kill, and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isozoo.lazy import later

if TYPE_CHECKING:
    from isozoo.training.annealing import CyclicalAnnealing
    from isozoo.training.checkpoint import CheckpointError
    from isozoo.training.divergence import DivergedError
    from isozoo.training.evaluation import Evaluation, evaluate
    from isozoo.training.interrupt import TrainingInterrupted
    from isozoo.training.loop import TrainingRun, train
    from isozoo.training.optimizers import TorchSGD
    from isozoo.training.recipe import Recipe
    from isozoo.training.runs import RunRecord, find_runs
    from isozoo.training.schedules import WarmupMilestones

_HOME = {
    "CheckpointError": ".checkpoint",
    "CyclicalAnnealing": ".annealing",
    "DivergedError": ".divergence",
    "Evaluation": ".evaluation",
    "Recipe": ".recipe",
    "RunRecord": ".runs",
    "TorchSGD": ".optimizers",
    "TrainingInterrupted": ".interrupt",
    "TrainingRun": ".loop",
    "WarmupMilestones": ".schedules",
    "evaluate": ".evaluation",
    "find_runs": ".runs",
    "train": ".loop",
}

__all__ = [
    "CheckpointError",
    "CyclicalAnnealing",
    "DivergedError",
    "Evaluation",
    "Recipe",
    "RunRecord",
    "TorchSGD",
    "TrainingInterrupted",
    "TrainingRun",
    "WarmupMilestones",
    "evaluate",
    "find_runs",
    "train",
]

__getattr__, __dir__ = later(__name__, _HOME)
