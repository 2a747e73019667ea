"""Runs that diverge, or are taken to, under a strategy; writes what came of them as JSON.

    python -m tests.training.distribute.diverging mirrored found.json FOLDER

TF_CONFIG says who trains together; with several workers each writes what it has found.
"""

import hashlib
import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

RECIPE = """
tag = "{tag}"
batch_size = 8

[model]
name = "{name}"
dropout = {dropout}

[optimizer]
learning_rate = {rate}

[schedule]
name = "constant"

[preprocessing]
resize = 18
size = 16

[[phases]]
epochs = 2
size = 16
"""
ROLLBACK = """
[recovery]
on_nan = "rollback"
learning_rate_factor = 0.001
"""


class Runs:
    """Short runs under one strategy.

    Args:
        name: Of the strategy.
        out: Folder that all workers share.
    """

    def __init__(self, name: str, out: Path):
        from isozoo.training.distribute import open_strategy
        from tests.training.distribute.compute import samples

        self.strategy = open_strategy(name)
        self.out = out
        # Three steps in each epoch.
        self.data = {"train": samples(24, 0), "val": samples(9, 1)}

    def train(
        self,
        tag: str,
        rate: float,
        dropout: float = 0.3,
        name: str = "r-isonet-8",
        tables: str = "",
    ) -> Any:
        """Return what a run makes, or how it ended."""
        from isozoo.training import DivergedError, train

        recipe = self.out / f"{tag}-{self.strategy.index}.toml"
        recipe.write_text(RECIPE.format(tag=tag, rate=rate, dropout=dropout, name=name) + tables)
        try:
            run = train(recipe, self.data, self.out / self.strategy.name, strategy=self.strategy)
        except DivergedError as error:
            return {"epoch": error.epoch, "step": error.step, "layer": error.layer} | {
                "text": str(error)
            }
        told = [line for row in run.log for line in row.get("rollbacks", ())]
        return {"weights": digest(run.model.weights), "rollbacks": told}

    def misread(self) -> dict[str, Any]:
        """Take the second step's loss for NaN; note what that step made of the weights, each time.

        The weights are those of the run and then of the search, where it is the last that is done.
        """
        from isozoo.training.callbacks import RepetitionBar
        from isozoo.training.divergence import LossWatch

        look, repeat, found = LossWatch.on_train_batch_end, RepetitionBar.on_train_batch_end, {}

        def look_and_misread(watch, batch, logs=None):
            second = watch.tracker.position == (0, 2)
            if second:
                found["run"] = digest(watch.model.weights)
            look(watch, batch, {"loss": math.nan} if second else logs)

        def repeat_and_note(bar, batch, logs=None):
            repeat(bar, batch, logs)
            found["search"] = digest(bar.model.weights)

        LossWatch.on_train_batch_end = look_and_misread
        RepetitionBar.on_train_batch_end = repeat_and_note
        try:
            return found | {"end": self.train("misread", 0.1, name="resnet-8")}
        finally:
            LossWatch.on_train_batch_end = look
            RepetitionBar.on_train_batch_end = repeat


def digest(variables) -> str:
    """Return a hash of the bits of some variables."""
    found = hashlib.sha256()
    for variable in variables:
        found.update(variable.numpy().tobytes())
    return found.hexdigest()


def of_another_mind() -> None:
    """Let this worker blame another layer than it finds, as other processors may round."""
    from isozoo.training import tracing
    from isozoo.training.faults import Fault

    find = tracing.bad_output

    def blame(*arguments, **settings):
        return Fault("elsewhere", "first elsewhere") if find(*arguments, **settings) else None

    tracing.bad_output = blame


def main(strategy: str, target: str, folder: str) -> None:
    from tests.training.distribute.compute import two_processors

    if strategy == "mirrored":
        two_processors()
    runs = Runs(strategy, Path(folder))
    if not runs.strategy.chief:
        of_another_mind()
    logging.getLogger("isozoo").setLevel(logging.ERROR)
    found = {
        "misread": runs.misread(),
        "stop": runs.train("stop", 1e30),
        "stop without dropout": runs.train("dry", 1e30, dropout=0.0),
        "rollback": runs.train("rollback", 1e3, tables=ROLLBACK),
        "tame": runs.train("tame", 1.0),
    }
    Path(target).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(*sys.argv[1:])
