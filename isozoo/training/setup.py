"""From a recipe's settings to a compiled model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras

from isozoo.models.classifier import Classifier
from isozoo.regularizers import set_penalty
from isozoo.training.losses import CrossEntropy, training_metrics
from isozoo.training.optimizers import TorchSGD
from isozoo.training.recipe import Recipe
from isozoo.training.schedules import WarmupMilestones
from isozoo.training.settings import OptimizerSettings, PenaltySettings

Rate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"


def _milestones(recipe: Recipe, steps: int) -> Rate:
    return WarmupMilestones(recipe.optimizer.learning_rate, steps, **recipe.schedule.own)


def _cosine(recipe: Recipe, steps: int) -> Rate:
    rate = recipe.optimizer.learning_rate
    warmup = recipe.schedule.own["warmup_epochs"] * steps
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(rate, recipe.epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, recipe.epochs * steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


SCHEDULES: dict[str, Callable[[Recipe, int], Rate]] = {
    "milestones": _milestones,
    "cosine": _cosine,
    "constant": lambda recipe, steps: recipe.optimizer.learning_rate,
}


def _sgd(settings: OptimizerSettings, rate: Rate) -> keras.optimizers.Optimizer:
    return TorchSGD(
        rate,
        weight_decay_factor=settings.weight_decay,
        global_clipnorm=settings.global_clipnorm,
        **settings.own,
    )


def _adamw(settings: OptimizerSettings, rate: Rate) -> keras.optimizers.Optimizer:
    return keras.optimizers.AdamW(
        rate, weight_decay=settings.weight_decay, global_clipnorm=settings.global_clipnorm
    )


OPTIMIZERS: dict[str, Callable[[OptimizerSettings, Rate], keras.optimizers.Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}


def make_optimizer(
    model: keras.Model, recipe: Recipe, steps_per_epoch: int
) -> keras.optimizers.Optimizer:
    """Return the recipe's optimiser, built for a model.

    Args:
        model: The model to be trained; variables whose `weight_decay_multiplier` is 0, such as
            the shifts of SReLU, take no weight decay with any optimiser.
        recipe: The training run.
        steps_per_epoch: Optimiser steps in an epoch.

    Returns:
        The optimiser with its schedule.
    """
    rate = SCHEDULES[recipe.schedule.name](recipe, steps_per_epoch)
    optimizer = OPTIMIZERS[recipe.optimizer.name](recipe.optimizer, rate)
    undecayed = [
        v for v in model.trainable_variables if getattr(v, "weight_decay_multiplier", 1.0) == 0.0
    ]
    if optimizer.weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_list=undecayed)
    optimizer.build(model.trainable_variables)
    return optimizer


def compile_classifier(model: Classifier, recipe: Recipe, steps_per_epoch: int) -> None:
    """Compile a classifier as its recipe says; the penalty is part of the model's own losses.

    With `[penalty]` in the recipe, the model's penalties are set to be computed so.

    Args:
        model: The classifier.
        recipe: The training run.
        steps_per_epoch: Optimiser steps in an epoch.

    Example:
        >>> import isozoo
        >>> recipe = Recipe.from_dict({
        ...     "tag": "demo",
        ...     "model": {"name": "r-isonet-8"},
        ...     "phases": [{"epochs": 2, "size": 32}],
        ... })
        >>> model = Classifier(recipe.architecture(classes=3))
        >>> compile_classifier(model, recipe, steps_per_epoch=10)
        >>> type(model.optimizer).__name__
        'TorchSGD'
    """
    if recipe.penalty != PenaltySettings():
        set_penalty(model, **dataclasses.asdict(recipe.penalty), seed=recipe.seed)
    model.compile(
        optimizer=make_optimizer(model, recipe, steps_per_epoch),
        loss=CrossEntropy(recipe.label_smoothing),
        # Heed the weights of samples, which only the validation on several replicas has.
        weighted_metrics=training_metrics(),
        jit_compile=recipe.jit_compile,
    )
    # With mixed_float16 Keras wraps the optimiser anew; a checkpoint restores only built state.
    model.optimizer.build(model.trainable_variables)
