"""The package itself: what importing it costs, what it promises, what its metadata says."""

import ast
import re
import statistics
import subprocess
import sys
import time
import tomllib

import pytest
from packaging.requirements import Requirement

import isozoo

HEAVY = {"keras", "tensorflow", "numpy", "jax", "torch"}
REPORT = f"import sys; print('loaded', sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"


@pytest.mark.parametrize(
    "program",
    [
        "import isozoo",
        "import isozoo; assert isozoo.list_models()",
        "import isozoo; isozoo.info(isozoo.list_models()[0])",
        "from isozoo.cli import main; assert main(['list']) == 0",
        "from isozoo.cli import main; assert main(['info', 'r-isonet-18']) == 0",
        "import contextlib; from isozoo.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])",
    ],
)
def test_looking_around_imports_nothing_heavy(python, program):
    found = python("-c", f"{program}\n{REPORT}")
    assert found.returncode == 0, found.stderr
    assert found.stderr.endswith("loaded []\n")


def test_help_takes_less_than_a_third_of_a_second():
    # Compared with the bare interpreter, so that a slow or busy machine slows both.
    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    extra = [seconds("-m", "isozoo", "--help") - seconds("-c", "pass") for _ in range(7)]
    assert statistics.median(extra) < 0.3


def test_every_public_name_is_there_and_listed():
    for name in isozoo.__all__:
        assert getattr(isozoo, name) is not None
        assert name in dir(isozoo)


def test_type_checkers_see_the_same_names_as_python(root):
    tree = ast.parse((root / "isozoo/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    rooms = dict.fromkeys(isozoo._ROOMS, "isozoo")
    home = {name: f"isozoo{module}" for name, module in isozoo._HOME.items()}
    assert seen == {**rooms, **home}
    assert set(isozoo.__all__) == {*seen, "__version__"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'isozoo' has no attribute 'isonet'"):
        isozoo.isonet  # noqa: B018


def test_the_version_is_the_same_everywhere(root):
    assert re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text(), re.M)[1] == (
        isozoo.__version__
    )
    assert (root / "isozoo/py.typed").exists()


@pytest.mark.parametrize("group", ["core", "dev", "docs"])
def test_constraints_pin_a_version_inside_every_declared_range(root, group):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = {"core": project["dependencies"], **project["optional-dependencies"]}[group]
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for requirement in map(Requirement, declared):
        assert requirement.specifier, f"{requirement} has no bounds"
        assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement
