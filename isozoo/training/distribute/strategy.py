"""What a run asks of a strategy, and the answers of one device."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from isozoo.errors import IsozooError
from isozoo.training.distribute import StrategyError

if TYPE_CHECKING:
    import keras

    from isozoo.training.recipe import Recipe

T = TypeVar("T")

#: Numbers that workers tell each other at once.
MESSAGE = 4096


class Strategy:
    """One device in one process: there is nobody to share with, to wait for or to tell.

    Args:
        name: Key of `isozoo.training.distribute.STRATEGIES`.
        replicas: Copies of the network that train together; a global batch has this many parts.
        workers: Processes.
        index: This process's number among them, from 0.
    """

    def __init__(self, name: str = "one", replicas: int = 1, workers: int = 1, index: int = 0):
        self.name = name
        self.replicas = replicas
        self.workers = workers
        self.index = index

    @property
    def chief(self) -> bool:
        """Whether this process writes and tells what there is to write and tell."""
        return self.index == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which networks are built and compiled."""
        return nullcontext()

    def fitting(self) -> AbstractContextManager[Any]:
        """Return the context in which they are trained."""
        return nullcontext()

    def guard(self) -> AbstractContextManager[None]:
        """Return a context in which the loss of another worker becomes `WorkerLostError`."""
        return nullcontext()

    def _outside(self) -> AbstractContextManager[Any]:
        """Return a context in which the chief may do what the others do not."""
        return nullcontext()

    def check(self, recipe: Recipe) -> None:
        """Refuse what a recipe asks and this strategy cannot do.

        Raises:
            StrategyError: The message says what to set.
        """
        if recipe.batch_size % self.replicas:
            below = recipe.batch_size // self.replicas * self.replicas
            choices = [str(size) for size in (below, below + self.replicas) if size]
            raise StrategyError(
                f"batch_size {recipe.batch_size} does not divide by the {self.replicas} replicas "
                f"of '{self.name}'; set it to {' or '.join(choices)}"
            )

    def prepare(self, model: keras.Model) -> None:
        """Make a compiled model train on all replicas as on one device."""

    def spread(self, states: Sequence[keras.Variable]) -> None:
        """Give each replica random numbers of its own, from the same states on each."""

    def copies(self, variables: Sequence[Any]) -> list[Any]:
        """Return what the replicas of this process hold of variables, each copy by itself."""
        return list(variables)

    def sum_of(self, function: Callable[[Any], Any], images: Any) -> Any:
        """Return the sum over the replicas of what a function finds in the images of each.

        It is called as a step is: each replica draws its own random numbers, and statistics of the
        batch are those of all. All workers have to come here.

        Args:
            function: From images to a tensor of numbers; may call networks.
            images: Of a batch as `share` hands it out.
        """
        return function(images)

    def share(self, batches: Any) -> Any:
        """Return the training stream of all replicas from this worker's rows of each batch."""
        return batches

    def padded(self, batches: Any, batch_size: int, images: int) -> tuple[Any, int | None]:
        """Return the validation stream of all replicas: every image, in batches of one size.

        And the number of batches, if the stream does not end with them.

        Args:
            batches: This worker's rows of each global batch.
            batch_size: Images of a global batch.
            images: Images in all.
        """
        return batches, None

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sums over the workers of at most `MESSAGE` numbers, exact below 2**24."""
        return numbers

    def union(self, numbers: Sequence[int]) -> list[int]:
        """Return in order the numbers below 2**24 that any worker names; all ask at once."""
        if self.workers == 1:
            return sorted(numbers)
        counts = np.zeros(self.workers, "float32")
        counts[self.index] = len(numbers)
        ends = np.cumsum(np.rint(self._sums(counts)).astype(int))
        # The others add zeros.
        named = np.zeros(ends[-1], "float32")
        named[ends[self.index] - len(numbers) : ends[self.index]] = numbers
        return sorted(set(np.rint(self._sums(named)).astype(int).tolist()))

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Return, on all workers alike, what any of them wishes; all have to ask at once."""
        if self.workers == 1:
            return wishes
        return tuple(bool(votes) for votes in self.total(np.array(wishes, "float32")))

    def decide(self, function: Callable[[], T]) -> T:
        """Call a function on the chief and return there and everywhere what it returns.

        All workers have to come here, and leave together.

        Args:
            function: Returns what can be pickled.

        Raises:
            IsozooError: The chief's call failed; on the chief its own error is raised, and on the
                others too if isozoo or the system raises it on purpose: its kind says whether to
                try again.
        """
        if self.workers == 1:
            return function()
        if not self.chief:
            value, failure = pickle.loads(self._tell(b""))
            if failure:
                raise failure
            return value
        try:
            with self._outside():
                value = function()
        except Exception as error:
            with contextlib.suppress(Exception):
                # They may be gone; what is to be told here is why this one goes.
                self._tell(_failure(error))
            raise
        self._tell(pickle.dumps((value, None)))
        return value

    def _tell(self, told: bytes) -> bytes:
        """Return on all workers what the chief says; the others say nothing."""
        size = int(self.total(np.array([len(told)], "float32"))[0])
        # The others add zeros.
        said = np.zeros(size, "float32")
        said[: len(told)] = np.frombuffer(told, np.uint8)
        return self._sums(said).astype(np.uint8).tobytes()

    def _sums(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sums over the workers of any number of numbers."""
        parts = [numbers[at : at + MESSAGE] for at in range(0, len(numbers), MESSAGE)]
        return np.concatenate([numbers[:0], *(self.total(part) for part in parts)])


def _failure(error: Exception) -> bytes:
    """Return a failed decision as it is told: the chief's own error, or one that names it."""
    named = IsozooError(f"worker 0 stopped: {type(error).__name__}: {error}")
    if isinstance(error, IsozooError | OSError):
        with contextlib.suppress(Exception):
            told = pickle.dumps((None, error))
            pickle.loads(told)  # some errors can be packed and not unpacked
            return told
    return pickle.dumps((None, named))
