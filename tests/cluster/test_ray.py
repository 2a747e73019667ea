"""A Ray cluster on this machine: two workers, one of which is killed, and results as without."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from isozoo import cluster
from tests.cluster.kills import NAME, assert_same_run, write_data
from tests.training.test_kill import whole_checkpoints

pytestmark = [
    pytest.mark.cluster,
    # Ray warns of its own calls, and leaves files and processes to the collector.
    pytest.mark.filterwarnings(r"ignore:::ray\..*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ray = pytest.importorskip("ray", reason="Ray, of the extra `cluster`, is not installed")


@pytest.fixture(scope="module")
def two_places():
    """A cluster with room for two workers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    context = ray.init(num_cpus=2, log_to_driver=False, include_dashboard=True)
    yield context
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ray")
    write_data(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(two_places, folder):
    return train(folder, "whole")


def train(folder: Path, out: str, **options) -> cluster.ClusterRun:
    return cluster.train(
        folder / "recipe.toml",
        folder / "data",
        folder / out,
        workers=cluster.Workers(2),
        # Every step: there is always one to go on from.
        checkpoint_minutes=1e-9,
        **options,
    )


def once_it_trains(checkpoints: Path, do: Callable[[], None]) -> None:
    """Do something beside, as soon as there are checkpoints."""

    def wait_and_do():
        while not list(checkpoints.glob("epoch-0000-step-*5")):
            time.sleep(0.05)
        do()

    threading.Thread(target=wait_and_do, daemon=True).start()


def worker_processes() -> list[int]:
    """Return Ray's processes that train, of all that this process can see."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_text().startswith("ray::RayTrainWorker"):
                found.append(int(path.parent.name))
        except OSError:
            continue  # ended in the meantime
    return found


def test_results_are_collected(undisturbed, folder):
    assert undisturbed.directory == folder / "whole" / NAME / NAME
    assert [row["epoch"] for row in undisturbed.log] == [1, 2, 3, 4]
    assert undisturbed.metrics["images"] == 8
    assert len(undisturbed.starts) == 1


def test_a_killed_worker_changes_nothing(undisturbed, folder):
    killed: list[float] = []

    def kill_one():
        os.kill(worker_processes()[-1], signal.SIGKILL)
        killed.append(time.time())

    checkpoints = folder / "killed" / NAME / "checkpoints"
    once_it_trains(checkpoints, kill_one)
    found = train(folder, "killed")
    assert len(found.starts) == 2
    # Until the new workers have met; the rest is theirs, as on any launcher.
    print(f"from the kill to the new start of the workers: {found.starts[1] - killed[0]:.1f} s")
    assert whole_checkpoints(checkpoints) == 2
    assert_same_run(folder / "killed" / NAME, folder / "whole" / NAME)


def test_ctrl_c_ends_the_run(two_places, folder):
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    checkpoints = folder / "stopped" / NAME / "checkpoints"
    once_it_trains(checkpoints, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(folder, "stopped")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, handler)
    assert whole_checkpoints(checkpoints) >= 1


def test_what_would_fail_again_is_not_tried_often(undisturbed, folder):
    with pytest.raises(cluster.ClusterError, match="holds a run already; resume it"):
        train(folder, "whole", max_failures=5)
    newest = max((folder / "whole" / NAME / "ray").iterdir())
    assert len((newest / "starts.jsonl").read_text().splitlines()) == 2


def test_more_workers_than_places(two_places, folder):
    with pytest.raises(cluster.ClusterError, match=r"could not start 3 x \{'CPU': 1\}"):
        cluster.train(
            folder / "recipe.toml",
            folder / "data",
            folder / "many",
            workers=cluster.Workers(3),
            start_minutes=0.2,
        )
