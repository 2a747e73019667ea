"""The operations of a functional Keras model one by one, with what each takes and makes.

Nested models are flattened, layers and plain operations alike are steps, and what is computed is
what the model itself would compute. Keras walks the graph (`keras.models.clone_model`, with a
stand-in for each operation, so that the layers notice nothing); this module remembers the walk and
goes it again with values, dropping each tensor after its last use.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from isozoo.diagnostics.gradients import own_randomness, without_gradients
from isozoo.errors import DiagnosticsError, unknown


@dataclasses.dataclass(frozen=True)
class Slot:
    """The place of a tensor in the arguments of a step."""

    number: int


class Step(NamedTuple):
    """One operation at its place in the computation.

    Args:
        name: Path through the nested models, such as `"backbone/s1_b1_f_a"`; a layer that is used
            again has `:2`, `:3`, ... at the end.
        operation: The layer or operation.
        inputs: Numbers of the tensors that it takes.
        outputs: Numbers of the tensors that it makes.
        shape: Shape of the first tensor that it makes, None where it is not fixed.
        arguments: Its positional and named arguments, a `Slot` for each tensor.
    """

    name: str
    operation: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shape: tuple[int | None, ...]
    arguments: tuple[tuple[Any, ...], dict[str, Any]]

    @property
    def kind(self) -> str:
        """Name of the operation's class, such as `"Conv2D"`."""
        return type(self.operation).__name__


#: Whether steps are computed in training mode: all or none of them, or which.
Mode = bool | Callable[[Step], bool]


class Graph(NamedTuple):
    """The steps of a model in order of computation.

    Args:
        name: Name of the model.
        inputs: The symbolic inputs.
        sources: Numbers of the tensors that are put in.
        results: Numbers of the tensors that come out.
        steps: What is done in between.
    """

    name: str
    inputs: tuple[Any, ...]
    sources: tuple[int, ...]
    results: tuple[int, ...]
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step:
        """Return a step by its name.

        Raises:
            UnknownNameError: There is none; the nearest names are given.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise unknown(f"step of {self.name}", name, [step.name for step in self.steps])

    def lives(self) -> list[tuple[int, ...]]:
        """Return, for each step, the numbers of the tensors that nothing needs after it."""
        last = {number: i for i, step in enumerate(self.steps) for number in step.outputs}
        last |= {number: i for i, step in enumerate(self.steps) for number in step.inputs}
        ends: list[tuple[int, ...]] = [()] * len(self.steps)
        for number, i in last.items():
            if number not in self.results:
                ends[i] = (*ends[i], number)
        return ends


def graph(model: keras.Model) -> Graph:
    """Return the steps of a functional or sequential model, and how they are connected.

    Args:
        model: The model, built.

    Raises:
        DiagnosticsError: The model has no graph: it is subclassed, or was never built.
    """
    if _functional(model) is None:
        raise DiagnosticsError(
            f"{model.name} is a {type(model).__name__}, whose layers are called by code of its own "
            "and cannot be seen one by one; give a functional or sequential model that is built, "
            "such as a backbone that it holds"
        )
    walk = _Walk()
    sources = tuple(walk.number(tensor) for tensor in model.inputs)
    results = tuple(walk.number(tensor) for tensor in walk.through(model, "", model.inputs))
    return Graph(model.name, tuple(model.inputs), sources, results, tuple(walk.steps))


def steps(model: keras.Model) -> list[Step]:
    """Return the operations of a functional or sequential model in order of computation.

    Args:
        model: The model, built; nested models are flattened.

    Raises:
        DiagnosticsError: The model has no graph: it is subclassed, or was never built.

    Example:
        >>> from isozoo import Classifier, architecture
        >>> found = steps(Classifier(architecture("r-isonet-8", classes=2)))
        >>> [step.name for step in found][:3], found[-1].name
        (['backbone/stem_conv', 'backbone/stem_relu', 'backbone/s1_b1_f_a'], 'head/head_fc')
    """
    return list(graph(model).steps)


def stream(
    model: keras.Model | Graph,
    images: Any,
    training: Mode = False,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[Step, tuple[Any, ...], Any]]:
    """Compute a model step by step, and hand out what each step takes and makes.

    A tensor is dropped after the last step that takes it, so the memory is that of inference.

    Args:
        model: The model, or its `graph` if it is used again.
        images: What the model is called on: a preprocessed batch `(batch, height, width,
            channels)`, or a list with one array for each input.
        training: Whether in training mode, or a function of a step that says so. Running statistics
            and random generators are as before afterwards.
        names: Names of the steps to hand out; all if None. What comes after the last is not
            computed.

    Yields:
        The step, the tensors it takes, and the tensor it makes (or their structure).

    Raises:
        DiagnosticsError: The model has no graph, or a step cannot be computed.
        UnknownNameError: There is no step of a name.

    Example:
        >>> import numpy as np
        >>> from isozoo import Classifier, architecture
        >>> model = Classifier(architecture("r-isonet-8", classes=2))
        >>> images = np.zeros((1, 32, 32, 3))
        >>> for step, _, output in stream(model, images, names=["backbone/s3_b1_relu"]):
        ...     step.kind, tuple(output.shape)
        ('SReLU', (1, 8, 8, 64))
    """
    walked = model if isinstance(model, Graph) else graph(model)
    wanted = None if names is None else {walked.step(name).name for name in names}
    for step, inputs, output in _values(walked, images, training):
        if wanted is None or step.name in wanted:
            yield step, inputs, output
            if wanted is not None:
                wanted.discard(step.name)
        if wanted is not None and not wanted:
            return


def play(
    walked: Graph,
    images: Any,
    training: Mode = False,
    change: Callable[[Step, Any], Any] | None = None,
) -> list[Any]:
    """Compute a model with the output of each step changed, for instance to differentiate by it.

    Args:
        walked: The model's `graph`.
        images: As for `stream`; tensors that are being differentiated by are fine.
        training: As for `stream`.
        change: Of a step and what it made; returns what the following steps are given.

    Returns:
        The model's outputs.
    """
    values, randomness = _sources(walked, images), own_randomness()
    for step, ends in zip(walked.steps, walked.lives(), strict=True):
        with randomness:
            output = _computed(step, values, training)
        if change is not None:
            output = change(step, output)
        _keep(step, output, values, ends)
    return [values[number] for number in walked.results]


def _values(walked: Graph, images: Any, training: Mode) -> Iterator[tuple[Step, tuple, Any]]:
    values, randomness = _sources(walked, images), own_randomness()
    for step, ends in zip(walked.steps, walked.lives(), strict=True):
        inputs = tuple(values[number] for number in step.inputs)
        with without_gradients(), randomness:
            output = _computed(step, values, training)
        _keep(step, output, values, ends)
        yield step, inputs, output


def _sources(walked: Graph, images: Any) -> dict[int, Any]:
    given = images if isinstance(images, list | tuple) else [images]
    if len(given) != len(walked.sources):
        raise DiagnosticsError(
            f"{walked.name} takes {len(walked.sources)} inputs, got {len(given)} arrays; give a "
            "list with one for each"
        )
    return {
        number: ops.convert_to_tensor(value, dtype=symbol.dtype)
        for number, symbol, value in zip(walked.sources, walked.inputs, given, strict=True)
    }


def _computed(step: Step, values: dict[int, Any], training: Mode) -> Any:
    args, kwargs = tree.map_structure(
        lambda leaf: values[leaf.number] if isinstance(leaf, Slot) else leaf,
        step.arguments,
        none_is_leaf=True,
    )
    # As a functional model does it.
    if isinstance(step.operation, keras.layers.Layer):
        kwargs = {**kwargs, "training": training(step) if callable(training) else training}
    # What is assigned, such as running statistics, is forgotten.
    with keras.StatelessScope():
        return step.operation(*args, **kwargs)


def _keep(step: Step, output: Any, values: dict[int, Any], ends: tuple[int, ...]) -> None:
    values.update(zip(step.outputs, tree.flatten(output), strict=True))
    for number in ends:
        del values[number]


class _StandIn(keras.Operation):
    """Takes an operation's place in a graph, so that the operation itself is not called.

    Args:
        operation: The operation.
    """

    def __init__(self, operation: keras.Operation):
        super().__init__()
        self.operation = operation

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the operation would."""
        return self.operation.compute_output_spec(*args, **kwargs)


class _Walk:
    """Collects the steps of a model, and of the models in it, as Keras walks through them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: dict[int, int] = {}
        self._uses: Counter[str] = Counter()
        # An id is worth something only as long as its owner is there.
        self._kept: list[Any] = []

    def number(self, tensor: Any) -> int:
        """Return the number of a symbolic tensor, a new one at its first appearance."""
        self._kept.append(tensor)
        return self._numbers.setdefault(id(tensor), len(self._numbers))

    def through(self, model: keras.Model, prefix: str, taken: Sequence[Any]) -> Sequence[Any]:
        """Walk through a functional model that is called on tensors, and return its outputs."""
        own = [keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in model.inputs]
        self._equate(model.name, own, taken)
        return keras.models.clone_model(
            _functional(model),
            input_tensors=own,
            clone_function=_same,
            call_function=functools.partial(self._call, prefix),
        ).outputs

    def _call(self, prefix: str, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        outputs = _StandIn(operation)(*args, **kwargs)
        name = self._name(prefix + operation.name)
        taken, made = _symbols((args, kwargs)), _symbols(outputs)
        if isinstance(operation, keras.Model) and _functional(operation) is not None:
            self._equate(name, made, self.through(operation, f"{name}/", taken))
            return outputs
        arguments = tree.map_structure(self._slot, (args, kwargs), none_is_leaf=True)
        inputs, results = (tuple(map(self.number, tensors)) for tensors in (taken, made))
        step = Step(name, operation, inputs, results, tuple(made[0].shape), arguments)
        self.steps.append(step)
        return outputs

    def _slot(self, leaf: Any) -> Any:
        return Slot(self.number(leaf)) if isinstance(leaf, keras.KerasTensor) else leaf

    def _name(self, path: str) -> str:
        self._uses[path] += 1
        uses = self._uses[path]
        return path if uses == 1 else f"{path}:{uses}"

    def _equate(self, name: str, tensors: Sequence[Any], others: Sequence[Any]) -> None:
        """Give tensors the numbers of others."""
        if len(tensors) != len(others):
            raise DiagnosticsError(
                f"the model {name} takes {len(tensors)} tensors and is called on {len(others)}; "
                "call it on one tensor for each input"
            )
        for tensor, other in zip(tensors, others, strict=True):
            number = self.number(other)
            self._kept.append(tensor)
            self._numbers[id(tensor)] = number


def _same(operation: Any) -> Any:
    return operation


def _symbols(structure: Any) -> list[Any]:
    return [leaf for leaf in tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


def _functional(model: keras.Model) -> keras.Model | None:
    """Return a plain functional model of the same graph; None if there is no graph to follow."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    plain = keras.Model(inputs, model.outputs, name=model.name)
    own_call = type(model).call is not type(plain).call
    return None if own_call and not isinstance(model, keras.Sequential) else plain
