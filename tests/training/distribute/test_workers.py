"""How workers agree, stop together and refuse to part ways; threads stand in for processes."""

import functools
import threading
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from filelock import FileLock

from isozoo.data import InMemoryImages
from isozoo.data.damage import Damage, ReplacedImages
from isozoo.errors import ImageError, IsozooError, RecipeError
from isozoo.training import TrainingInterrupted, lock, tracing
from isozoo.training.checkpoint import CheckpointError, Checkpoints, Position
from isozoo.training.distribute import (
    StrategyError,
    WorkerLostError,
    alike,
)
from isozoo.training.distribute.strategy import MESSAGE, Strategy
from isozoo.training.divergence import Divergence
from isozoo.training.faults import Fault
from isozoo.training.feed import Feed
from isozoo.training.interrupt import RunBusyError, StopRequest
from isozoo.training.recovery import Saver, Stop, Tracker


class Worker(Strategy):
    """One of several workers that are threads of this process."""

    def __init__(self, index: int, table: dict, barrier: threading.Barrier):
        super().__init__("threads", barrier.parties, barrier.parties, index)
        self.table, self.barrier = table, barrier

    def total(self, numbers):
        assert len(numbers) <= MESSAGE
        self.table[self.index] = numbers
        self.barrier.wait(10)
        found = sum(self.table.values())
        self.barrier.wait(10)
        return found


def on_workers(function, count: int = 2) -> list:
    """Return what a function of a worker returns, or raises, on each."""
    table, barrier, found = {}, threading.Barrier(count), [None] * count

    def run(index: int) -> None:
        try:
            found[index] = function(Worker(index, table, barrier))
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_all_know_what_the_chief_decides():
    long = "checkpoint" * MESSAGE
    assert on_workers(lambda worker: worker.decide(lambda: (worker.index, long))) == [(0, long)] * 2
    first, second = on_workers(lambda worker: worker.decide(lambda: 1 / 0))
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, IsozooError)
    assert "worker 0 stopped: ZeroDivisionError: division by zero" in str(second)


@pytest.mark.parametrize(
    "failure",
    [
        TrainingInterrupted("stopped by SIGTERM during the last measurement", Path("checkpoints")),
        CheckpointError("cannot write the checkpoint (No space left on device)"),
        WorkerLostError("worker 0 lost another"),
        OSError(28, "No space left on device", "log.jsonl"),
        RecipeError("the folder holds a run already"),
    ],
)
def test_what_fails_on_the_chief_is_of_the_same_kind_everywhere(failure):
    def fail():
        raise failure

    for error in on_workers(lambda worker: worker.decide(fail)):
        assert type(error) is type(failure)
        assert (str(error), error.__dict__) == (str(failure), failure.__dict__)


def test_a_failure_that_cannot_be_told_is_named():
    class Local(IsozooError):
        pass

    def fail():
        raise Local("odd")

    first, second = on_workers(lambda worker: worker.decide(fail))
    assert isinstance(first, Local)
    assert str(second) == "worker 0 stopped: Local: odd"


def test_what_one_wishes_all_do():
    assert on_workers(lambda worker: worker.agree(worker.index == 1, False)) == [(True, False)] * 2


@pytest.mark.parametrize("count", [0, 3, MESSAGE])
def test_what_any_names_all_know(count):
    def name(worker: Worker) -> list[int]:
        return worker.union([*range(worker.index, worker.index + count)])

    expected = list(range(count + 2)) if count else []
    assert on_workers(name, 3) == [expected] * 3
    assert Strategy().union([2, 1]) == [1, 2]


def test_damage_is_counted_over_all_workers():
    def meet(worker: Worker, limit: int = 4) -> list[int]:
        black, damaged = np.zeros((4, 4, 3), "uint8"), (0, 2, 5, 7)
        pictures = [b"damaged" if number in damaged else black for number in range(9)]
        samples = InMemoryImages(pictures, [0] * 9, ["black"])
        training = ReplacedImages(samples, Damage(limit, "train"))
        feed = Feed(None, training, training, None, worker)  # pyright: ignore[reportArgumentType]
        for number in damaged[:2] if worker.chief else damaged[2:]:
            training.image(number)
        return feed.damaged()

    assert on_workers(meet) == [[0, 2, 5, 7]] * 2
    for error in on_workers(functools.partial(meet, limit=3)):
        assert isinstance(error, ImageError)
        assert "more than 3 damaged images in train" in str(error)


def test_a_signal_to_one_worker_stops_all_after_the_same_step(tmp_path):
    def train(worker: Worker) -> Exception:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.optimizer.build(model.trainable_variables)
        request, tracker = StopRequest(), Tracker(Position(0))
        saver = Saver(Checkpoints(tmp_path), tracker, request, None, dict, lambda: True, worker)
        saver.set_model(model)
        for step in range(1, 9):
            tracker.position = Position(0, step)
            request.signal = "SIGTERM" if worker.index == 1 and step >= 5 else ""
            saver.on_train_batch_end(step - 1)
        return AssertionError("it went on")

    stopped = on_workers(train)
    assert [type(error) for error in stopped] == [TrainingInterrupted] * 2
    assert "stopped by a signal to another worker after epoch 1, step 5" in str(stopped[0])
    assert "stopped by SIGTERM after epoch 1, step 5" in str(stopped[1])
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0000-step-00000005"]


def test_a_signal_to_one_worker_ends_a_search_on_all(tmp_path):
    def search(worker: Worker, signalled: int) -> str:
        request = StopRequest()
        request.signal = "SIGTERM" if worker.index == signalled else ""
        Stop(request, Checkpoints(tmp_path)).poll_together("the search", worker)
        return "went on"

    assert on_workers(functools.partial(search, signalled=2)) == ["went on"] * 2
    errors = on_workers(functools.partial(search, signalled=1))
    assert [type(error) for error in errors] == [TrainingInterrupted] * 2
    assert "stopped by a signal to another worker during the search" in str(errors[0])
    assert "stopped by SIGTERM during the search" in str(errors[1])


@pytest.mark.parametrize("bad", [0, 1])
def test_what_the_chief_blames_all_blame(monkeypatch, bad):
    """A step whose loss became NaN, of which each worker finds something else."""

    def look(worker: Worker) -> Fault:
        def found(*arguments: object) -> Fault | None:
            return None if worker.index == bad else Fault(f"of worker {worker.index}", "first")

        feed = types.SimpleNamespace(steps=3, images=lambda steps: None)
        fitting = types.SimpleNamespace(strategy=worker, feed=feed, steps=3)
        fitting.advance = lambda *arguments: None
        divergence = Divergence(Position(0, 1), Position(0, 1), "the loss became nan")
        bar = types.SimpleNamespace(loss=1.0)
        model = keras.Sequential()
        model.backbone = model.head = found
        return tracing._bad_step(fitting, divergence, model, None, bar)

    # What is looked at, and by whom, is what stands in for the first part of the network.
    monkeypatch.setattr(tracing, "bad_output", lambda parts, *others: parts[0]())
    monkeypatch.setattr(tracing, "bad_penalty", lambda parts: None)
    expected = tracing.NOT_AGAIN if bad == 0 else Fault("of worker 0", "first")
    assert on_workers(look) == [expected] * 2


def test_a_folder_that_workers_do_not_share(tmp_path, monkeypatch):
    monkeypatch.setattr(alike, "_SECONDS_TO_BE_SEEN", 0.1)
    for name in ("0", "1", "shared"):
        (tmp_path / name).mkdir()
        # Left there by an earlier run, and no sign that the folder is shared.
        (tmp_path / name / "recipe.toml").write_text("tag = 'old'")
        (tmp_path / name / alike._NONCE).write_text("old")

    for error in on_workers(
        lambda worker: alike.check_shared(tmp_path / f"{worker.index}", worker)
    ):
        assert isinstance(error, StrategyError)
        assert "not all 2 workers see" in str(error)
    assert on_workers(lambda worker: alike.check_shared(tmp_path / "shared", worker)) == [None] * 2
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["recipe.toml"]


@pytest.mark.parametrize(
    ("recipe", "images", "classes", "told"),
    [
        ("seed = 7", 3, ("a", "b"), ": the recipe differ from"),
        ("seed = 0", 4, ("a", "b"), ": the number of images in train, the labels of train differ"),
        ("seed = 0", 3, ("b", "a"), ": the classes of train differ from"),
        ("seed = 0", 3, ("a", "b"), None),
    ],
)
def test_workers_that_do_not_train_the_same(recipe, images, classes, told):
    def compare(worker: Worker) -> None:
        pictures = np.zeros((images if worker.index == 1 else 3, 4, 4, 3), "uint8")
        labels = [number % 2 for number in range(len(pictures))]
        names = classes if worker.index == 1 else ("a", "b")
        text = recipe if worker.index == 1 else "seed = 0"
        samples = InMemoryImages(pictures, labels, names)
        alike.check_alike(worker, alike.given(text, {"train": samples}))

    for error in on_workers(compare, 3):
        if told is None:
            assert error is None
        else:
            assert isinstance(error, StrategyError)
            assert f"the 3 workers do not train the same{told}" in str(error)


def test_two_processes_do_not_train_in_one_folder(tmp_path, monkeypatch):
    def begin(worker: Worker, resume: bool) -> None:
        with lock.locked(tmp_path / "run", worker, resume):
            pass

    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    with FileLock(tmp_path / ".run.lock"):
        for resume, kind, told in (
            (False, RecipeError, "another process is training in"),
            (True, RunBusyError, "another process was still training in"),
        ):
            for error in on_workers(functools.partial(begin, resume=resume)):
                assert type(error) is kind
                assert told in str(error)
    assert on_workers(functools.partial(begin, resume=False)) == [None] * 2


def test_who_goes_on_waits_for_the_process_before(tmp_path):
    held = FileLock(tmp_path / ".run.lock", thread_local=False)
    held.acquire()
    threading.Timer(0.3, held.release).start()
    with lock.locked(tmp_path / "run", Strategy(), resume=True):
        assert not held.is_locked
