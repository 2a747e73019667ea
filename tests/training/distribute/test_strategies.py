"""What a strategy refuses and mends; that they train alike is in test_same_weights."""

import contextlib
import os
import sys
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from isozoo.errors import UnknownNameError
from isozoo.training import Recipe, TrainingInterrupted
from isozoo.training.distribute import (
    LINGER,
    STRATEGIES,
    StrategyError,
    WorkerLostError,
    keras_faults,
    leave,
    on_jax,
    on_tensorflow,
    open_strategy,
    traps,
)
from isozoo.training.distribute.strategy import Strategy


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


def test_the_table_says_what_there_is():
    assert list(STRATEGIES) == ["one", "mirrored", "multiworker", "tpu", "data-parallel"]
    for name, kind in STRATEGIES.items():
        assert kind.summary, name
