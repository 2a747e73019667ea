"""The package's names: all there, and cheap to import."""

import ast

import isozoo.diagnostics


def test_every_public_name_is_there_and_seen_by_type_checkers(root):
    tree = ast.parse((root / "isozoo/diagnostics/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: statement.module.removeprefix("isozoo.diagnostics")
        for statement in block.body
        for alias in statement.names
    }
    assert seen == isozoo.diagnostics._HOME
    assert set(isozoo.diagnostics.__all__) == set(seen)
    for name in seen:
        value = getattr(isozoo.diagnostics, name)
        # A module of the name would take its place once it is imported.
        assert not (root / f"isozoo/diagnostics/{name}.py").exists()
        assert value is not None


def test_looking_around_imports_nothing_heavy(python):
    found = python(
        "-c",
        "import isozoo.diagnostics.measures as m, sys; m.chosen(None);"
        "print(sorted({'keras', 'numpy', 'tensorflow'} & set(sys.modules)))",
    )
    assert found.stdout == "[]\n", found.stderr
