"""Runs the cells of a table, several at a time, and goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from isozoo.benchmark.machine import THREADS, machine, versions
from isozoo.errors import ExperimentError
from isozoo.experiments.job import OUTCOME, Job, read_outcome
from isozoo.experiments.results import RESULTS, Results, RunResult
from isozoo.experiments.table import Table, read_table
from isozoo.training.interrupt import StopRequest, TrainingInterrupted

#: Told after each run how many are done, of how many, and what this one came to.
Told = Callable[[int, int, RunResult], None]


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
        DataError: The data set is not there.
        TrainingInterrupted: A signal asked to stop; the same call goes on.
        ExperimentError: A run's folder holds one with other settings, or a process ended without
            a result; what it said is in the run's folder.
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
    for result in _run(left, jobs):
        done += 1
        collect(plan)
        if told:
            told(done, len(wanted), result)
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
    """Return what all runs in a plan's folder came to, and write it to its `results.json`."""
    table = plan.read()
    rows, columns = ([item.name for item in items] for items in (table.rows, table.columns))
    runs = [read_outcome(path) for path in plan.folder.glob(f"*/{OUTCOME}")]
    runs.sort(key=lambda run: (rows.index(run.row), columns.index(run.column), run.seed))
    dataset = plan.data or table.scales[plan.scale].dataset
    results = Results(
        table=table.name,
        scale=plan.scale,
        runs=tuple(runs),
        dataset=Path(dataset).name if Path(dataset).exists() else dataset,
        machine={key: value for key, value in machine().items() if key != "load"},
        versions=versions(),
    )
    plan.folder.mkdir(parents=True, exist_ok=True)
    results.write(plan.folder / RESULTS)
    return results


def _run(left: Sequence[Job], jobs: int) -> Iterator[RunResult]:
    """Yield results as they come; what has not begun is given up if one fails or is stopped."""
    if not left:
        return
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    for name in THREADS:
        os.environ.setdefault(name, threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A process that is forked from one with TensorFlow in it does not get through.
    context = multiprocessing.get_context("spawn")
    with StopRequest() as request, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        pending = {pool.submit(job.run) for job in left}
        try:
            while pending:
                done, pending = wait(pending, timeout=_EVERY, return_when=FIRST_COMPLETED)
                if request.signal:
                    _stop()
                yield from (future.result() for future in done)
        except BrokenProcessPool as error:
            if request.signal:
                raise TrainingInterrupted(_STOPPED.format(request.signal), None) from None
            raise ExperimentError(
                "a process of the experiment was killed, perhaps for want of memory; repeat the "
                "command to go on, with fewer --jobs"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


#: Seconds between two looks at whether a signal has come.
_EVERY = 0.5
_STOPPED = "stopped by {}; repeat the command to go on"


def _stop() -> None:
    """End the processes: one that trains saves what it has first, one that does not is done."""
    for process in multiprocessing.active_children():
        process.terminate()
