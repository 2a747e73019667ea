"""The documents: their numbers are fresh and their commands are what they promise.

Their Python blocks are run by the collector in the repository's conftest.py.
"""

import json
import re
import sys

import pytest


@pytest.fixture
def tables(root, monkeypatch):
    """The module that fills the generated regions."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.delitem(sys.modules, "docs_tables", raising=False)
    import docs_tables

    return docs_tables


def test_every_generated_region_is_fresh(tables):
    for path in tables.documents():
        text = path.read_text(encoding="utf-8")
        assert tables.filled(text) == text, f"{path}: run python tools/docs_tables.py"


def test_every_region_is_used_somewhere(tables):
    text = "".join(path.read_text(encoding="utf-8") for path in tables.documents())
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == set(tables.REGIONS)


def test_a_region_is_replaced_and_the_rest_is_kept(tables, monkeypatch):
    monkeypatch.setitem(tables.REGIONS, "answer", lambda: "42\n")
    stale = "a\n<!-- generated: answer -->\n41\n<!-- /generated -->\nb\n"
    assert tables.filled(stale) == stale.replace("41", "42")


@pytest.mark.parametrize("name", ["predict", "test"])
def test_the_readme_has_each_command_on_one_line(root, name):
    readme = (root / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- command: {name} -->\n```\n(.*?)```", readme, re.DOTALL)
    assert block.count("\n") == 1
    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt")


def test_every_relative_link_of_the_top_documents_leads_somewhere(root):
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!http)([^)#]+)\)|src=\"([^\"]+)\"", text):
            assert (root / "".join(target)).exists(), f"{name} links to {target}"


def test_the_sample_prediction_is_what_the_bundled_weights_say(root):
    import isozoo

    report = json.loads((root / "examples/golf-ball.json").read_text(encoding="utf-8"))
    (shown,) = report["images"]
    model = isozoo.load(report["model"])
    (found,) = model.classify(root / "examples/golf-ball.png", top=len(shown["predictions"]))
    assert found[0].label == "golf ball"
    assert [p["label"] for p in shown["predictions"]] == [p.label for p in found]
    assert [p["probability"] for p in shown["predictions"]] == pytest.approx(
        [p.probability for p in found], abs=1e-4
    )
