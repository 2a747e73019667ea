"""What a strategy refuses and how workers agree; that they train alike is in test_same_weights."""

import contextlib
import functools
import os
import sys
import threading
import time
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from filelock import FileLock

from isozoo.data import InMemoryImages
from isozoo.data.damage import Damage, ReplacedImages
from isozoo.errors import ImageError, IsozooError, RecipeError, UnknownNameError
from isozoo.training import Recipe, TrainingInterrupted, lock
from isozoo.training.checkpoint import CheckpointError, Checkpoints, Position
from isozoo.training.distribute import (
    LINGER,
    STRATEGIES,
    StrategyError,
    WorkerLostError,
    alike,
    keras_faults,
    leave,
    on_jax,
    on_tensorflow,
    open_strategy,
    traps,
)
from isozoo.training.distribute.strategy import MESSAGE, Strategy
from isozoo.training.feed import Feed
from isozoo.training.interrupt import RunBusyError, StopRequest
from isozoo.training.recovery import Saver, Tracker


def recipe_with(**changes) -> Recipe:
    least = {
        "tag": "demo",
        "model": {"name": "resnet-bin-8"},
        "phases": [{"epochs": 1, "size": 16}],
    }
    return Recipe.from_dict({**least, **changes})


def of_replicas(count: int, workers: int = 1) -> on_tensorflow.TensorFlowStrategy:
    """A strategy over a stand-in for TensorFlow's, which hands a dataset on as it is."""
    stand_in = types.SimpleNamespace(
        num_replicas_in_sync=count, distribute_datasets_from_function=lambda make: make(None)
    )
    return on_tensorflow.TensorFlowStrategy("mirrored", stand_in, workers)


def test_names():
    with pytest.raises(UnknownNameError, match="unknown strategy 'mirror'; did you mean"):
        open_strategy("mirror")
    # Keras itself takes keras.distribution on any backend, and shards nothing.
    with pytest.raises(StrategyError, match="for the jax backend, and Keras runs on tensorflow"):
        open_strategy("data-parallel")


@pytest.mark.parametrize("name", ["mirrored", "multiworker", "tpu"])
def test_what_another_backend_does_not_have(name, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(StrategyError, match="set KERAS_BACKEND=tensorflow, or choose one or data-"):
        open_strategy(name)


def test_a_batch_has_to_divide():
    with pytest.raises(StrategyError, match=r"64 does not divide by the 6 .*set it to 60 or 66"):
        of_replicas(6).check(recipe_with())
    with pytest.raises(StrategyError, match=r"4 does not divide by the 6 replicas .*set it to 6$"):
        of_replicas(6).check(recipe_with(batch_size=4))
    of_replicas(4).check(recipe_with())


def test_xla_is_refused():
    with pytest.raises(StrategyError, match="set jit_compile = false"):
        of_replicas(2).check(recipe_with(jit_compile=True))


@pytest.mark.parametrize(
    ("optimizer", "settings", "message"),
    [
        ({"gradient_accumulation_steps": 2}, {}, "gradient_accumulation_steps fails"),
        ({"clipnorm": 1.0}, {}, "clip on each replica before the sum; use global_clipnorm"),
        ({"clipvalue": 1.0}, {}, "clip on each replica before the sum; use global_clipnorm"),
        ({}, {"steps_per_execution": 2}, "steps_per_execution above 1 fails"),
        (
            {},
            {"loss": keras.losses.MeanSquaredError(reduction="sum")},
            "a loss with reduction 'sum' grows with the replicas",
        ),
    ],
)
def test_what_would_train_otherwise_is_refused(optimizer, settings, message):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, **optimizer), **{"loss": "mse", **settings})
    with pytest.raises(StrategyError, match=f"'mirrored' cannot train this model: .*{message}"):
        of_replicas(2).prepare(model)
    of_replicas(1).prepare(model)


def test_statistics_are_shared_and_a_configuration_does_not_say_so():
    inputs = keras.Input((2, 2, 4))
    nested = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(inputs))
    model = keras.Model(inputs, traps.BatchInstanceNormalization(name="mixed")(nested(inputs)))
    before = model.get_layer("mixed").get_config()
    traps.synchronize(model, 4)
    assert nested.get_layer("norm").synchronized
    assert model.get_layer("mixed").replicas == 4
    assert model.get_layer("mixed").get_config() == before


@pytest.mark.parametrize("images", [1, 5, 8, 13])
def test_every_image_counts_once_in_a_padded_validation(images):
    pixels = np.arange(images * 3, dtype="float32").reshape(images, 1, 1, 3)
    batches = tf.data.Dataset.from_tensor_slices((pixels, np.arange(images) % 3)).batch(8)
    padded, steps = of_replicas(4).padded(batches, 8, images)
    found = list(padded.take(4 * steps))
    assert {len(labels) for _, labels, _ in found} == {2}
    kept = [part[weights > 0] for part, _, weights in found]
    np.testing.assert_array_equal(np.concatenate(kept), pixels)
    # Keras divides the sum of the weighted losses by the rows, padding and all.
    weights = np.concatenate([weights for _, _, weights in found])
    assert weights.mean() == pytest.approx(1.0)
    # Repeated: the next validation begins where this one ends.
    np.testing.assert_array_equal(next(iter(padded.skip(4 * steps)))[0], found[0][0])


@pytest.mark.parametrize("images", [1, 5, 8, 13])
def test_so_it_does_without_tensorflow(images):
    pixels = np.arange(images * 3, dtype="float32").reshape(images, 1, 1, 3)
    parts = [slice(at, at + 8) for at in range(0, images, 8)]
    batches = [(pixels[part], np.arange(images)[part]) for part in parts]
    weight = 8 * len(parts) / images
    padded = on_jax.PaddedBatches(batches, 8, weight)
    found = [padded[number] for number in range(len(padded))]
    kept = [part[weights > 0] for part, _, weights in found]
    np.testing.assert_array_equal(np.concatenate(kept), pixels)
    weights = np.concatenate([weights for _, _, weights in found])
    assert (len(weights), weights.mean()) == (8 * len(parts), pytest.approx(1.0))


def test_a_tpu_is_opened_once_and_as_it_says(monkeypatch):
    done, resolver = [], object()
    monkeypatch.setattr(
        tf.distribute.cluster_resolver,
        "TPUClusterResolver",
        lambda tpu: done.append(tpu) or resolver,
    )
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", done.append)
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", done.append)
    monkeypatch.setattr(
        tf.distribute,
        "TPUStrategy",
        lambda found: done.append(found) or types.SimpleNamespace(num_replicas_in_sync=8),
    )
    strategy = open_strategy("tpu")
    assert done == ["", resolver, resolver, resolver]
    assert (strategy.replicas, strategy.workers, strategy.chief) == (8, 1, True)


def test_without_a_tpu(monkeypatch):
    def find(tpu):
        raise ValueError("Please provide a TPU Name")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", find)
    with pytest.raises(StrategyError, match=r"no TPU \(Please provide .*set TPU_NAME"):
        open_strategy("tpu")


def test_the_loss_of_a_worker_is_told():
    lost = tf.errors.UnavailableError(None, None, "Collective ops is aborted")
    told = r"worker 0 lost .* 2 \(Collective .*with --resume"
    with pytest.raises(WorkerLostError, match=told), of_replicas(2, workers=2).guard():
        raise lost
    # With one worker it is something else.
    with pytest.raises(tf.errors.UnavailableError), of_replicas(2).guard():
        raise lost


def test_a_worker_stays_until_the_others_have_its_last_words(monkeypatch):
    stayed = []
    monkeypatch.setattr(on_tensorflow.time, "sleep", stayed.append)
    with of_replicas(2).guard():
        pass
    assert not stayed
    with of_replicas(2, workers=2).guard():
        pass
    with pytest.raises(TrainingInterrupted), of_replicas(2, workers=2).guard():
        raise TrainingInterrupted("stopped on all workers", None)
    assert len(stayed) == 2
    with pytest.raises(WorkerLostError), of_replicas(2, workers=2).guard():
        raise tf.errors.UnavailableError(None, None, "Collective ops is aborted by: gone")
    assert len(stayed) == 2


@pytest.mark.parametrize("name", ["CancelledError", "InternalError", "FailedPreconditionError"])
def test_what_does_not_speak_of_peers_is_no_loss(name):
    kind = getattr(tf.errors, name)
    with pytest.raises(kind), of_replicas(2, workers=2).guard():
        raise kind(None, None, "Blas GEMM launch failed")
    with pytest.raises(WorkerLostError), of_replicas(2, workers=2).guard():
        raise kind(None, None, "Collective ops is aborted by: Socket closed")


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (
            "UNKNOWN: Gloo AllGather failed: [pair.cc:547] Connection closed by peer [10.0.0.1]",
            True,
        ),
        ("UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats)", True),
        ("cannot convert the loop to a lookup table of an AllGather connection", False),
    ],
)
def test_the_loss_of_a_worker_is_told_on_jax(error, lost, monkeypatch):
    class JaxRuntimeError(RuntimeError):
        pass

    stand_in = types.SimpleNamespace(errors=types.SimpleNamespace(JaxRuntimeError=JaxRuntimeError))
    monkeypatch.setitem(sys.modules, "jax", stand_in)
    for kind in (ValueError, JaxRuntimeError):
        strategy = object.__new__(on_jax.JaxStrategy)
        Strategy.__init__(strategy, "data-parallel", 2, 2, 1)
        expected = WorkerLostError if lost else kind
        told = "lost another of the 2" if lost else "^cannot"
        with pytest.raises(expected, match=told), strategy.guard():
            raise kind(error)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (ValueError("coordinator_address should be defined."), None),
        (RuntimeError("must be called before any JAX calls"), r"that JAX looks for tell of: must"),
        (ValueError("Number of processes must be defined."), r"JAX looks for tell of: Number"),
    ],
)
def test_jax_joins_or_is_alone(found, told, monkeypatch):
    def initialize(*arguments, **settings):
        raise found

    for name in on_jax.EXPLICIT:
        monkeypatch.delenv(name, raising=False)
    distributed = types.SimpleNamespace(initialize=initialize)
    monkeypatch.setitem(sys.modules, "jax", types.SimpleNamespace(distributed=distributed))
    on_jax._join.cache_clear()
    if told is None:
        on_jax._join()
        distributed.initialize = None  # it is not asked again
        on_jax._join()
    else:
        with pytest.raises(StrategyError, match=told):
            on_jax._join()
    on_jax._join.cache_clear()


@pytest.mark.parametrize("index", [0, 1])
def test_who_fails_on_jax_does_not_wait_for_the_others(index, monkeypatch):
    done = []
    distributed = types.SimpleNamespace(is_initialized=lambda: True)
    jax = types.SimpleNamespace(distributed=distributed, process_index=lambda: index)
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setattr(time, "sleep", done.append)
    monkeypatch.setattr(os, "_exit", done.append)
    leave(0)
    assert not done
    leave(69)
    # The first carries the service without which the others would be aborted.
    assert done == ([LINGER, 69] if index == 0 else [69])
    distributed.is_initialized = lambda: False
    leave(2)
    assert 2 not in done


def test_keras_still_has_the_faults_that_are_mended():
    from keras.src.backend.tensorflow import trainer

    asked = []

    class Workers(tf.distribute.MultiWorkerMirroredStrategy):
        extended = types.SimpleNamespace(_in_multi_worker_mode=lambda: True)

        def __init__(self):
            pass

        def reduce(self, how, value, axis):
            asked.append(axis)

    faulty = trainer.reduce_per_replica
    assert not hasattr(faulty, "mended"), "another test has mended Keras for this process"
    faulty(tf.constant(1.0), Workers(), "auto")
    assert asked == [0], "keras_faults is no longer needed: a number has no axis 0"


def test_another_keras_is_not_mended(monkeypatch):
    monkeypatch.setattr(keras, "__version__", "3.16.0")
    with pytest.raises(StrategyError, match=r"mends Keras 3.15, and this is 3.16.0: install"):
        keras_faults.work_around()


def test_keras_still_builds_from_the_rows_of_all_workers():
    from keras.src.backend.tensorflow import trainer

    reduced = []

    class Extended:
        def _in_multi_worker_mode(self):
            return True

    class Workers:
        extended = Extended()
        scope = staticmethod(contextlib.nullcontext)

        def reduce(self, how, value, axis=None):
            reduced.append(how)
            return value

    workers = Workers()
    model = types.SimpleNamespace(
        _distribute_strategy=workers, distribute_strategy=workers, _symbolic_build=lambda **data: 0
    )
    build = trainer.TensorFlowTrainer._maybe_symbolic_build
    assert build is not keras_faults._symbolic_build, "another test has mended Keras"
    rows = tf.distribute.DistributedValues()
    build(model, iterator=iter([(0, 1, iter([rows]))]))
    assert reduced, "keras_faults._symbolic_build is no longer needed: no mean is taken"


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


def test_the_table_says_what_there_is():
    assert list(STRATEGIES) == ["one", "mirrored", "multiworker", "tpu", "data-parallel"]
    for name, kind in STRATEGIES.items():
        assert kind.summary, name
