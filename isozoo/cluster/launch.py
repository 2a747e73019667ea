"""A run on Ray: submitted, watched, and its results collected."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isozoo.cluster.progress import EpochBar
from isozoo.cluster.worker import Job, read_starts, train_worker
from isozoo.cluster.workers import PLACEMENTS, Workers
from isozoo.errors import IsozooError, MissingExtraError
from isozoo.models.manifest import LOG
from isozoo.models.provenance import read_log
from isozoo.training.options import Options
from isozoo.training.recipe import Recipe

#: What the workers find in their environment.
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
#: How Ray is told how many seconds to wait for places for all workers.
_PATIENCE = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"


class ClusterError(IsozooError):
    """A run on a cluster that could not be started, or failed too often."""


@dataclasses.dataclass(frozen=True)
class ClusterRun:
    """What a finished run on a cluster leaves behind.

    Args:
        directory: The weights folder, in the folder that all hosts share.
        log: One mapping per epoch.
        metrics: Measured on the whole validation split: `top1`, `top5`, `cross_entropy`, `images`.
        starts: When its workers were started, in seconds since 1970: once, and once for each
            failure.
    """

    directory: Path
    log: list[dict[str, Any]]
    metrics: dict[str, float]
    starts: list[float]


def train(
    recipe: str | os.PathLike[str],
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] = "runs",
    resume: bool = False,
    *,
    workers: Workers,
    address: str | None = None,
    max_failures: int = 3,
    start_minutes: float = 10.0,
    checkpoint_minutes: float | None = 10.0,
    csv: bool = False,
    tensorboard: bool = False,
) -> ClusterRun:
    """Train a classifier as a recipe says, on workers that Ray places, starts and restarts.

    The workers train together as with `isozoo.training.train(..., strategy="multiworker")` and
    write the same files. If one of them or its host is lost, Ray ends the others and starts all
    anew, and they go on from the newest checkpoint that is whole. What would only fail again, such
    as a recipe that does not fit the data, is not tried again.

    Args:
        recipe: TOML file, see `Recipe`; read here and sent to the workers.
        data: As `isozoo.training.train` takes it; every host must find it under the same name.
        out: Folder for runs, which all hosts and this process share.
        resume: Whether to go on from a checkpoint of an earlier run.
        workers: How many workers, what each gets, and where.
        address: The cluster's address, as `ray.init` takes it; where `RAY_ADDRESS` says if None, or
            else a cluster on this machine, which ends with the run.
        max_failures: How often failed workers are started anew, at least 0.
        start_minutes: Minutes to wait for places for all workers at each start, more than 0.
        checkpoint_minutes: Minutes between checkpoints within an epoch, more than 0; None for none.
        csv: Whether to write the log as a table too, `log.csv`.
        tensorboard: Whether to write event files to `tensorboard/`.

    Returns:
        Where the weights folder is, the log, the metrics, and when the workers were started.

    Raises:
        ClusterError: The cluster has no such places, or the workers failed more than
            `max_failures` times, or with an error of `isozoo.training.train`.
        MissingExtraError: Ray is not installed.
        RecipeError: The recipe is wrong.
        ValueError: A number is too small.
    """
    if max_failures < 0 or not start_minutes > 0:
        raise ValueError(
            "max_failures must be at least 0 and start_minutes more than 0, got "
            f"{max_failures} and {start_minutes}"
        )
    Options(checkpoint_minutes, csv=csv, tensorboard=tensorboard)
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("a cluster needs Ray: python -m pip install 'isozoo[cluster]'")
    plan = Recipe.read(recipe)
    directory = Path(out).resolve() / plan.name
    store = directory / "ray" / f"{datetime.datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    job = Job(
        recipe=Path(recipe).read_text("utf-8"),
        # The workers have working directories of their own.
        data=str(Path(data).resolve() if Path(data).exists() else data),
        out=str(directory.parent),
        store=str(store),
        resume=resume,
        checkpoint_minutes=checkpoint_minutes,
        csv=csv,
        tensorboard=tensorboard,
    )
    with _connected(address), _patience(start_minutes), EpochBar(directory / LOG, plan.epochs):
        # Nothing is left behind of a run for which there is no cluster.
        store.mkdir(parents=True)
        found = _run(job, workers, max_failures)
    if "fault" in found:
        raise ClusterError(found["fault"])
    log = read_log(directory / LOG)
    return ClusterRun(Path(found["directory"]), log, found["metrics"], read_starts(store))


def _run(job: Job, workers: Workers, max_failures: int) -> dict[str, Any]:
    """Return what the first worker returned.

    Raises:
        ClusterError: There is no place for the workers, or they failed too often.
    """
    from ray.train import (  # pyright: ignore[reportMissingImports]
        ControllerError,
        FailureConfig,
        RunConfig,
        ScalingConfig,
        TrainingFailedError,
    )
    from ray.train.tensorflow import TensorflowTrainer  # pyright: ignore[reportMissingImports]

    store = Path(job.store)
    trainer = TensorflowTrainer(
        train_worker,
        train_loop_config=dataclasses.asdict(job),
        scaling_config=ScalingConfig(
            num_workers=workers.count,
            use_gpu=workers.gpus > 0,
            resources_per_worker=workers.resources,
            placement_strategy=PLACEMENTS[workers.placement],
        ),
        run_config=RunConfig(
            name=store.name,
            storage_path=str(store.parent),
            # A start that found no places in time is not repeated: it has waited long enough.
            failure_config=FailureConfig(max_failures=max_failures, controller_failure_limit=0),
            worker_runtime_env={"env_vars": ENVIRONMENT},
        ),
    )
    try:
        with _interruptible():
            return trainer.fit().return_value
    except ControllerError as error:
        # Ray goes on with all that may be the reason.
        reason = _last_line(error.controller_failure).partition(". ")[0]
        raise ClusterError(
            f"the cluster could not start {workers.count} x {workers.resources}, placed "
            f"{workers.placement}: {reason}; ask for less, or wait longer for it (--start-minutes)"
        ) from error
    except TrainingFailedError as error:
        raise ClusterError(_failures(error, store, max_failures)) from error


def _failures(error: Any, store: Path, max_failures: int) -> str:
    """Return what to say of workers that failed too often."""
    failures = getattr(error, "worker_failures", {})
    told = "; ".join(f"worker {rank}: {_last_line(e)}" for rank, e in sorted(failures.items()))
    return (
        f"the workers failed {max_failures + 1} times, the last time with: {told or error}. "
        f"Checkpoints are in {store.parents[1]}: repeat with --resume to go on"
    )


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster: to the one this process is connected to, if it is to any."""
    import ray  # pyright: ignore[reportMissingImports]

    if ray.is_initialized():
        yield
        return
    try:
        # What the workers print is in Ray's logs; what matters comes back as results and errors.
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, ValueError) as error:
        raise ClusterError(f"no cluster at {address}: {_last_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt also where Ray ends the run and leaves with code 0."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _patience(minutes: float) -> Iterator[None]:
    """Have Ray wait for places for that long; a value that the user has set wins."""
    if _PATIENCE in os.environ:
        yield
        return
    os.environ[_PATIENCE] = f"{60 * minutes:g}"
    try:
        yield
    finally:
        del os.environ[_PATIENCE]
