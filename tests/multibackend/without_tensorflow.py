"""Train, stop within an epoch and go on, where there is no TensorFlow.

    KERAS_BACKEND=jax python -m tests.multibackend.without_tensorflow FOLDER

Prints what came of it as JSON.
"""

import json
import signal
import sys
from pathlib import Path

import numpy as np

from isozoo.data import open_split
from isozoo.training import TrainingInterrupted, train
from isozoo.training.recovery import Tracker
from tests.prepared import prepare

RECIPE = """
tag = "squares"
batch_size = 8

[model]
name = "r-isonet-8"
dropout = 0.3

[schedule]
name = "cosine"
warmup_epochs = 1

[augment]
scale = [0.5, 1.0]
mixup = 0.2
cutmix = 1.0
randaugment = 1
erasing = 0.1

[preprocessing]
resize = 36
size = 32

[[phases]]
epochs = 1
size = 24

[[phases]]
epochs = 2
size = 32
"""


def run(folder: Path) -> dict:
    data = prepare(folder / "data", "array_record")
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE)
    whole = train(recipe, data, folder / "whole")

    count = Tracker.on_train_batch_end
    places = iter([(1, 2), (2, 1)])
    place = next(places)

    def stop(self, batch, logs=None):
        count(self, batch, logs)
        if self.position == place:
            signal.raise_signal(signal.SIGTERM)

    Tracker.on_train_batch_end = stop
    stopped = []
    while True:
        try:
            resumed = train(recipe, data, folder / "parts", resume=True)
            break
        except TrainingInterrupted as error:
            stopped.append(str(error))
            place = next(places, None)
    pairs = zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True)
    timeless = [
        [{k: v for k, v in row.items() if "second" not in k} for row in log]
        for log in (whole.log, resumed.log)
    ]
    return {
        "difference": max(float(np.abs(one - other).max()) for one, other in pairs),
        "same_log": timeless[0] == timeless[1],
        "stopped": stopped,
        "metrics": whole.metrics,
        "classes": open_split(data, "val").classes,
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
