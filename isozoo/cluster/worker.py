"""What each worker of a run does, in a process that Ray started for it."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from isozoo.errors import IsozooError
from isozoo.files import atomic_write
from isozoo.training.distribute import WorkerLostError
from isozoo.training.interrupt import RunBusyError, TrainingInterrupted

#: Of what isozoo refuses, what may go well another time: a file that could not be written, a signal
#: to stop, a folder in which another process still trains, and the loss of another worker. What
#: ends a worker that is not the chief may do so too: it is often the chief's failure, and what is
#: wrong for all is wrong for the chief.
PASSING = (OSError, WorkerLostError, TrainingInterrupted, RunBusyError)
#: Files in a job's own folder: one line for each start of its workers, and what ended it for good.
STARTS, FAULT = "starts.jsonl", "fault.txt"


@dataclasses.dataclass(frozen=True)
class Job:
    """One run as it was submitted.

    Args:
        recipe: The text of the recipe, which goes to the workers with the job.
        data: As `isozoo.training.train` takes it, on every host.
        out: Folder for runs that all hosts share.
        store: Folder of this job alone, which all hosts share.
        resume: Whether it is to go on from a checkpoint of an earlier job.
        checkpoint_minutes: As `isozoo.training.train` takes it, as the next two are.
        csv: See there.
        tensorboard: See there.
    """

    recipe: str
    data: str
    out: str
    store: str
    resume: bool
    checkpoint_minutes: float | None
    csv: bool
    tensorboard: bool


def train_worker(settings: dict[str, Any]) -> dict[str, Any]:
    """Train as one of the workers that Ray placed; it has told each of all the others.

    Args:
        settings: The fields of a `Job`.

    Returns:
        `metrics` and `directory` of the run; or `fault`, what a start before this one ended with
        and every other would.

    Raises:
        Exception: Training failed; Ray ends the other workers and starts all of them again.
    """
    from ray.train import get_context  # pyright: ignore[reportMissingImports]
    from ray.train.collective import (  # pyright: ignore[reportMissingImports]
        broadcast_from_rank_zero,
    )

    job = Job(**settings)
    store = Path(job.store)
    chief = get_context().get_world_rank() == 0
    # Read by one and told to all: they must not differ about where the run goes on.
    starts, fault = broadcast_from_rank_zero(_note_start(store) if chief else None)
    if fault:
        return {"fault": (store / FAULT).read_text("utf-8")}
    try:
        return _train(job, resume=job.resume or starts > 1)
    except IsozooError as error:
        if chief and not isinstance(error, PASSING):
            atomic_write(store / FAULT, str(error))
        raise


def _train(job: Job, resume: bool) -> dict[str, Any]:
    from isozoo.training import train

    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.toml"
        recipe.write_text(job.recipe, "utf-8")
        done = train(
            recipe,
            job.data,
            job.out,
            resume=resume,
            strategy="multiworker",
            checkpoint_minutes=job.checkpoint_minutes,
            csv=job.csv,
            tensorboard=job.tensorboard,
        )
    return {"metrics": done.metrics, "directory": str(done.directory)}


def _note_start(store: Path) -> tuple[int, bool]:
    """Note that the workers have started; return how often they have, and if there is a fault."""
    with open(store / STARTS, "a", encoding="utf-8") as stream:
        print(json.dumps({"time": round(time.time(), 3)}), file=stream)
    return len(read_starts(store)), (store / FAULT).exists()


def read_starts(store: Path) -> list[float]:
    """Return when the workers of a job were started, in seconds since 1970."""
    lines = (store / STARTS).read_text("utf-8").splitlines()
    return [json.loads(line)["time"] for line in lines]
