"""The line that follows the log of a run that other processes do."""

import io
import json

from rich.console import Console

from isozoo.cluster.progress import EpochBar


def shown(log, terminal: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    with EpochBar(log, epochs=3, console=console):
        rows = [{"epoch": 1, "accuracy": 0.5}, {"epoch": 2, "accuracy": 0.75, "val_accuracy": 0.7}]
        log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return text.getvalue()


def test_finished_epochs_and_their_accuracies(tmp_path):
    text = shown(tmp_path / "log.jsonl", terminal=True)
    assert "0/3" in text
    assert "2/3" in text
    assert "train 75.0%  val 70.0%" in text


def test_nothing_where_there_is_no_terminal(tmp_path):
    assert shown(tmp_path / "log.jsonl", terminal=False) == ""
