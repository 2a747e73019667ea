"""A full disk under two workers: both end and say why, and the run goes on from what was whole."""

import pytest

from isozoo.cluster.local import environments


@pytest.mark.slow
def test_a_full_disk_stops_both_workers(tmp_path):
    from tests.cluster.filled import train_until_full
    from tests.cluster.kills import NAME, Group, write_data
    from tests.training.killed import Attempt
    from tests.training.test_kill import whole_checkpoints

    write_data(tmp_path)
    ends = []
    for variables in environments(2):
        told, tell = Attempt.context.Pipe(duplex=False)
        settings = (tmp_path, 3, tell, variables)
        process = Attempt.context.Process(target=train_until_full, args=settings)
        process.start()
        tell.close()
        ends.append((process, told))
    errors = [told.recv() for _, told in ends]
    for process, _ in ends:
        process.join()
        assert process.exitcode == 0
    checkpoints = tmp_path / "runs" / NAME / "checkpoints"
    kept = checkpoints / "epoch-0000-step-00000003"
    said = (
        f"cannot write {checkpoints / 'epoch-0000-step-00000004'} (No space left on device); the "
        f"checkpoint {kept} is untouched: make room and go on with --resume"
    )
    assert errors == [
        ("CheckpointError", said),
        ("CheckpointError", said),
    ]
    assert whole_checkpoints(checkpoints) == 2
    assert [path.name for path in checkpoints.iterdir() if path.name.startswith(".")] == []
    group = Group(tmp_path, "runs")
    assert group.next_step()[1] == (0, 4)
    group.kill(0, 0)
