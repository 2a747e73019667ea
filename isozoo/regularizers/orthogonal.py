"""The penalty as a Keras regulariser."""

from __future__ import annotations

import math

import keras
from keras import ops

from isozoo.orthogonality import PROBE
from isozoo.regularizers.penalty import (
    check_options,
    check_whole,
    pair,
    penalty_dtype,
    prepared_penalty,
)


@keras.saving.register_keras_serializable(package="isozoo")
class OrthogonalConv(keras.regularizers.Regularizer):
    r"""Regulariser that pulls a convolution towards an isometry.

    Adds `factor` times `orthogonality_penalty` to the loss; the paper's factor is 1e-4 (3e-4 for
    ISONet-101). Always computed in at least float32, also under mixed precision.

    With `method="probe"` or `every` above 1 it has a state, `seed_generator`, which Keras must know
    of as part of a model: `set_penalty` and `isozoo.layers.Conv2D` see to it. In another layer it
    has to be assigned to an attribute of that, before it is built, or of the model, and again in a
    clone or after loading; until then JAX refuses to train, and checkpoints leave it out.

    Args:
        factor: Weight of the penalty in the loss, at least 0.
        strides: Strides of the convolution that the kernel belongs to.
        condition: `"paper"` or `"exact"`, see `orthogonality_penalty`.
        method: `"gram"`, `"fourier"`, `"karatsuba"` or `"convolution"`, equal to rounding, the
            fastest if None; or `"probe"`, an unbiased estimate.
        groups: Groups of the convolution.
        probes: Random images of each estimate, for `"probe"` only; 1 if None.
        every: Each call computes the penalty with a chance of 1 in `every`, times `every` times the
            factor, and is otherwise 0 and costs nothing: its mean is the penalty, whoever calls it
            and how often, its variance `every - 1` times the penalty's square.
        seed: Seed of all that is random; one at random if None.

    Raises:
        ValueError: `factor` is negative or not finite, a stride, `groups`, `probes` or `every` is
            no whole number from 1, the condition or method is unknown, or `probes` is given to
            another method; when called, that Keras does not know of `seed_generator`.

    Reference:
        Qi et al., "Deep Isometric Learning for Visual Recognition", ICML 2020.

    Example:
        >>> layer = keras.layers.Conv2D(
        ...     8, 3, strides=2, kernel_regularizer=OrthogonalConv(1e-4, strides=2)
        ... )
        >>> layer.build((None, 32, 32, 4))
        >>> len(layer.losses)
        1
    """

    def __init__(
        self,
        factor: float = 1e-4,
        strides: int | tuple[int, int] = 1,
        condition: str = "paper",
        method: str | None = None,
        groups: int = 1,
        probes: int | None = None,
        every: int = 1,
        seed: int | None = None,
    ):
        if not 0 <= factor < math.inf:
            raise ValueError(f"OrthogonalConv: factor must be at least 0 and finite, got {factor}")
        check_whole("every", every)
        self.strides = pair(strides)
        check_options((1, 1, 1, groups), self.strides, condition, method, groups, probes)
        self.factor = factor
        self.condition = condition
        self.method = method
        self.groups = groups
        self.probes = probes
        self.every = every
        self.seed = seed
        #: The random state; None if there is nothing to draw.
        self.seed_generator: keras.random.SeedGenerator | None = None
        if method == PROBE or every > 1:
            self.seed_generator = keras.random.SeedGenerator(seed, name="penalty")

    def penalty(self, kernel):
        """Return the penalty of a kernel without the factor; a new estimate at every call."""
        return self._prepared(kernel)()

    def _prepared(self, kernel):
        return prepared_penalty(
            kernel,
            self.strides,
            self.condition,
            self.method,
            self.groups,
            self.probes,
            self.seed_generator,
        )

    def __call__(self, x):
        """Return `factor` times the penalty of the kernel `x`, or what has that as its mean."""
        generator = self.seed_generator
        if generator is None:
            return self.factor * self.penalty(x)
        _check_known(generator, x)
        if self.every == 1:
            return self.factor * self.penalty(x)
        # Drawn and not counted: training steps cannot be told from others, such as validation's.
        due = keras.random.uniform((), dtype="float32", seed=generator) * self.every < 1.0
        compute = self._prepared(x)
        return ops.cond(
            due,
            lambda: self.every * self.factor * compute(),
            lambda: ops.zeros((), penalty_dtype(x)),
        )

    def get_config(self) -> dict:
        """Return the constructor arguments."""
        return {
            "factor": self.factor,
            "strides": list(self.strides),
            "condition": self.condition,
            "method": self.method,
            "groups": self.groups,
            "probes": self.probes,
            "every": self.every,
            "seed": self.seed,
        }


def _check_known(generator: keras.random.SeedGenerator, kernel) -> None:
    """Refuse a state that a stateless training step, as JAX's, would drop and never advance."""
    if isinstance(kernel, keras.Variable):
        return  # not within a step: Keras gives those the variable's value
    with keras.StatelessScope(initialize_variables=False) as scope:
        step = scope.original_scope
    if step is not None and step.get_current_value(generator.state) is None:
        raise ValueError(
            "Keras does not know of the random state of OrthogonalConv, which would never advance; "
            "assign its seed_generator to an attribute of the layer, before that is built, or of "
            "the model, or use isozoo.regularizers.set_penalty"
        )
