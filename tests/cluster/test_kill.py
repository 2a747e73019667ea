"""One of two workers is killed at random moments; `kills.py` says what has to hold."""

import pytest


@pytest.mark.slow
def test_killing_a_worker_changes_nothing(tmp_path, capsys):
    from tests.cluster.kills import kill_workers

    # Twenty take minutes: python -m tests.cluster.kills 20, see benchmarks/results/recovery.json.
    found = kill_workers(tmp_path, 3)
    assert found["bit_equal"]
    assert found["kills_while_training"] == 2
    with capsys.disabled():
        print(f"\nfrom a kill to the next step: {found['recovery_median']} s in the median")
