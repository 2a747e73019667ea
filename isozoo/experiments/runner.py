"""Runs the cells of a table, several at a time, and goes on where it was stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path

from isozoo.benchmark.machine import THREADS
from isozoo.errors import ExperimentError
from isozoo.experiments.job import OUTCOME, Job, read_outcome
from isozoo.experiments.process import heed_only_termination
from isozoo.experiments.reading import read_table
from isozoo.experiments.results import RESULTS, Results, RunResult
from isozoo.experiments.table import Column, Table, settings_hash
from isozoo.training.interrupt import StopRequest, TrainingInterrupted

#: Told after each run how many are done, of how many, what this one came to, and all so far.
Told = Callable[[int, int, RunResult, Results], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Which runs of a table, on which images, and where to.

    Args:
        table: Name of the table, or path of one's own.
        scale: Name of the scale.
        data: The data set as `isozoo train` takes it; the scale's own if None.
        out: Folder for experiments; this one's is `out/<table>-<scale>/`.
        rows: Names of the rows; all if None.
        columns: Names of the columns; those of the scale if None.
        seeds: Runs of each cell; as the scale says if None.
        strategy: Devices of each run, see `isozoo.training.train`; of one process only.

    Example:
        >>> plan = Plan(table="ablation", rows=("isonet", "vanilla"), seeds=1)
        >>> [job.settings["tag"] for job in plan.jobs()]
        ['vanilla-34-seed0', 'isonet-34-seed0']
    """

    table: str
    scale: str = "small"
    data: str | None = None
    out: Path = Path("experiments")
    rows: Sequence[str] | None = None
    columns: Sequence[str] | None = None
    seeds: int | None = None
    strategy: str = "one"

    @property
    def folder(self) -> Path:
        """Folder of this table at this scale."""
        return self.out / f"{Path(self.table).stem}-{self.scale}"

    def read(self) -> Table:
        """Return the table."""
        return read_table(self.table)

    def jobs(self) -> list[Job]:
        """Return the runs, the first seed of every cell before the second of any."""
        table = self.read()
        cells = list(table.cells(self.scale, self.rows, self.columns, self.seeds))
        made = [
            Job(
                row=cell.row.name,
                column=cell.column.name,
                seed=seed,
                settings=cell.recipe(seed),
                data=self.data or table.scales[self.scale].dataset,
                out=self.folder,
                strategy=self.strategy,
            )
            for cell in cells
            for seed in cell.seeds
        ]
        return sorted(made, key=lambda job: job.seed)


def reproduce(plan: Plan, jobs: int = 1, told: Told | None = None) -> Results:
    """Run what has not been run yet of a plan, and collect all that was.

    Each run is one of `isozoo.training.train`, in a process with an equal part of the cores. A run
    whose loss becomes no number is a result, too. Runs are resumed: the same call goes on where it
    was stopped. Results of other rows and columns that lie in the folder are kept.

    Args:
        plan: Which runs.
        jobs: Runs at a time, at least 1.
        told: Called after each run.

    Returns:
        All results in the plan's folder, which are also in its `results.json`.

    Raises:
        UnknownNameError: There is no such table, scale, row or column.
        RecipeError: The table makes a recipe that cannot be trained.
        DataError: The data set is not there. What one run raises ends the others, too, which go on
            from their checkpoints when the call is repeated.
        TrainingInterrupted: A signal asked to stop; the same call goes on.
        ExperimentError: The folder holds a run with other settings or data, or a process ended
            without a result; what it said is in the run's folder.
        ValueError: `jobs` is less than 1, or more than 1 with a strategy that takes all devices.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs > 1 and plan.strategy != "one":
        raise ValueError(
            f"'{plan.strategy}' takes all devices for each run, so that there cannot be {jobs} at "
            "a time; leave jobs at 1"
        )
    wanted = plan.jobs()
    left = [job for job in wanted if job.outcome() is None]
    done = len(wanted) - len(left)
    # What lies there already is looked at before anything is trained.
    collect(plan)
    for result in _run(left, jobs):
        done += 1
        found = collect(plan)
        if told:
            told(done, len(wanted), result, found)
    return collect(plan)


def write_recipes(plan: Plan) -> list[Path]:
    """Write the recipes of a plan, to be trained elsewhere or in other ways; run nothing.

    A run that `isozoo train` or `isozoo cluster` finished in the plan's folder is only measured by
    `reproduce`.

    Args:
        plan: Which runs.

    Returns:
        The files.
    """
    return [job.write_recipe() for job in plan.jobs()]


def collect(plan: Plan) -> Results:
    """Return what all runs in a plan's folder came to, and write it to its `results.json`.

    Args:
        plan: Says which folder and scale; rows, columns and seeds do not matter.

    Raises:
        ExperimentError: A run is not one of the table as it is now, or they are of different data.
    """
    table = plan.read()
    places = {
        (cell.row.name, cell.column.name): (number, cell)
        for number, cell in enumerate(table.cells(plan.scale, columns=_names(table.columns)))
    }
    runs = []
    for path in sorted(plan.folder.glob(f"*/{OUTCOME}")):
        run = read_outcome(path)
        _, cell = places.get((run.row, run.column), (0, None))
        if cell is None or settings_hash(cell.recipe(run.seed)) != run.settings:
            raise ExperimentError(
                f"{path.parent} is no run of '{table.name}' as the table is now; move it elsewhere"
            )
        runs.append(run)
    sets = {(run.dataset, run.training_images) for run in runs}
    if len(sets) > 1:
        told = ", ".join(f"{name} with {count:,} training images" for name, count in sorted(sets))
        raise ExperimentError(
            f"the runs in {plan.folder} are of different data ({told}); move those of one elsewhere"
        )
    runs.sort(key=lambda run: (places[run.row, run.column][0], run.seed))
    results = Results(table=table.name, scale=plan.scale, runs=tuple(runs))
    plan.folder.mkdir(parents=True, exist_ok=True)
    results.write(plan.folder / RESULTS)
    return results


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


def _run(left: Sequence[Job], jobs: int) -> Iterator[RunResult]:
    """Yield results as they come; if one fails or is stopped, the others are stopped as well."""
    # Not by the pool's own max_tasks_per_child: in Python 3.11, once a process has done as many, no
    # other one may take its place, and the pool waits for ever.
    for start in range(0, len(left), jobs * _TASKS):
        yield from _run_in_pool(left[start : start + jobs * _TASKS], jobs)


def _run_in_pool(left: Sequence[Job], jobs: int) -> Iterator[RunResult]:
    """Yield results as they come, all from processes that are new."""
    others = set(multiprocessing.active_children())
    # A process that is forked from one with TensorFlow in it does not get through.
    context = multiprocessing.get_context("spawn")
    with (
        _environment(jobs),
        StopRequest() as request,
        ProcessPoolExecutor(jobs, context, heed_only_termination) as pool,
    ):
        pending = {pool.submit(job.run) for job in left}
        try:
            while pending:
                done, pending = wait(pending, timeout=_EVERY, return_when=FIRST_COMPLETED)
                if request.signal:
                    _stop(others)
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            if request.signal:
                raise TrainingInterrupted(_STOPPED.format(request.signal), None) from None
            raise ExperimentError(
                "a process of the experiment was killed, perhaps for want of memory; repeat the "
                "command to go on, with fewer --jobs"
            ) from error
        finally:
            for future in pending:
                future.cancel()
            # Told once, one that trains would save and then wait for another run for ever.
            while pending and _stop(others):
                time.sleep(_EVERY)


#: Runs of a process, of which each leaves some memory taken.
_TASKS = 16
#: Seconds between two looks at whether a signal has come.
_EVERY = 0.5
_STOPPED = "stopped by {}; repeat the command to go on"


def _stop(others: Collection[BaseProcess]) -> bool:
    """Tell the pool's processes to end: one that trains saves what it has first.

    Args:
        others: Processes that are not the pool's.

    Returns:
        Whether there were any.
    """
    ours = [process for process in multiprocessing.active_children() if process not in others]
    for process in ours:
        process.terminate()
    return bool(ours)


@contextlib.contextmanager
def _environment(jobs: int) -> Iterator[None]:
    """Give each process its part of the cores, unless the user has said how many."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    wanted = dict.fromkeys(THREADS, threads) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
