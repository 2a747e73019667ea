"""`isozoo` as one of several workers of JAX, of which one fails in its second step.

python -m tests.training.distribute.failing kill|raise NUMBER train recipe.toml ...
"""

import os
import signal
import sys

import isozoo.training.recovery
from isozoo.cli import main
from isozoo.errors import IsozooError


def fail_at_the_second_step(how: str) -> None:
    """Let this process be killed, or raise an error that the others know nothing of."""
    tracker = isozoo.training.recovery.Tracker
    count = tracker.on_train_batch_end

    def count_and_fail(self, batch, logs=None):
        count(self, batch, logs)
        if self.position.step == 2:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise IsozooError("only here")

    tracker.on_train_batch_end = count_and_fail


if __name__ == "__main__":
    if os.environ["JAX_PROCESS_ID"] == sys.argv[2]:
        fail_at_the_second_step(sys.argv[1])
    sys.exit(main(sys.argv[3:]))
