import keras
import pytest

from isozoo.training import WarmupMilestones


def paper_rate(epoch: int, rate: float = 0.1) -> float:
    """The authors' rule, epochs counted from 1."""
    if epoch < 5:
        return rate * epoch / 5
    return rate * 0.1 ** sum(epoch > milestone for milestone in (30, 60, 90))


def test_every_epoch_of_the_paper():
    schedule = WarmupMilestones(0.1, steps_per_epoch=7)
    for epoch in range(1, 101):
        first, last = 7 * (epoch - 1), 7 * epoch - 1
        for step in (first, last):
            assert float(schedule(step)) == pytest.approx(paper_rate(epoch), rel=1e-6)


def test_counts_steps_beyond_the_integers_of_float32():
    steps = 2**24
    schedule = WarmupMilestones(1.0, steps_per_epoch=1, warmup_epochs=0, milestones=(steps + 1,))
    assert float(schedule(steps)) == 1.0
    assert float(schedule(steps + 8)) == pytest.approx(0.1)


def test_survives_serialisation():
    schedule = WarmupMilestones(0.1, 10, warmup_epochs=2, milestones=(3, 4), gamma=0.5)
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(config)
    assert again.get_config() == schedule.get_config()


def test_refuses_impossible_settings():
    with pytest.raises(ValueError, match="steps_per_epoch must be at least 1, got 0"):
        WarmupMilestones(0.1, 0)
    with pytest.raises(ValueError, match=r"milestones must ascend, got \[3, 2\]"):
        WarmupMilestones(0.1, 1, milestones=(3, 2))
