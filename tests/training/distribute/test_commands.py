"""`isozoo train --strategy multiworker` when a worker is asked to stop, or dies."""

import signal
import time

import pytest

from isozoo.cli import train
from isozoo.cluster.local import environments
from tests.training.test_kill import what_came_of

RECIPE = """
tag = "two"
batch_size = 6

[model]
name = "r-isonet-8"

[optimizer]
learning_rate = 0.01

[preprocessing]
resize = 18
size = 16

[[phases]]
epochs = 2
size = 16
"""


@pytest.fixture
def workers(colours, tmp_path):
    """Start a worker for each of some positions at which it is told to stop."""
    from tests.training.distribute.commands import Command

    (tmp_path / "recipe.toml").write_text(RECIPE)
    started = []

    def start(out: str, *signals: tuple[int, int] | None) -> list[Command]:
        arguments = ["train", str(tmp_path / "recipe.toml"), "--data", str(colours), "--resume"]
        arguments += ["--out", str(tmp_path / out), "--strategy", "multiworker"]
        made = [
            Command(arguments, environment, signal_at)
            for environment, signal_at in zip(environments(2), signals, strict=True)
        ]
        started.extend(made)
        return made

    yield start
    for command in started:
        command.process.kill()


@pytest.mark.slow
def test_sigterm_to_one_of_two_workers_loses_nothing(workers, tmp_path):
    stopped = [worker.finish() for worker in workers("stopped", None, (0, 3))]
    assert stopped == [([(0, 1), (0, 2), (0, 3)], train.STOPPED)] * 2
    run = tmp_path / "stopped" / "r-isonet-8.two"
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert checkpoint.name == "epoch-0000-step-00000003"
    rest = [(0, 4), (1, 1), (1, 2), (1, 3), (1, 4)]
    for worker in workers("stopped", None, None):
        assert worker.finish() == (rest, 0)
    for worker in workers("whole", None, None):
        assert worker.finish()[1] == 0
    weights, log = what_came_of(run)
    expected, whole = what_came_of(tmp_path / "whole" / run.name)
    assert weights == expected
    for row, other in zip(log, whole, strict=True):
        # The running means are divided over the workers anew where a run goes on.
        assert row == pytest.approx(other, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_who_loses_a_worker_ends_and_says_so(workers, index, capsys):
    both = workers("lost", None, None)
    for worker in both:
        worker.next()
    both[index].process.kill()
    start = time.monotonic()
    _, code = both[1 - index].finish()
    seconds = time.monotonic() - start
    assert both[index].process.exitcode == -signal.SIGKILL
    assert code == train.LOST
    assert seconds < 60
    assert f"isozoo: worker {1 - index} lost another of the 2" in both[1 - index].errors
    with capsys.disabled():
        print(f"\nworker {1 - index} ended {seconds:.1f} s after the other was killed")
