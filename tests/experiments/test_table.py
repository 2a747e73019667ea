"""Every table makes recipes that can be trained, and says what it does not know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isozoo.errors import RecipeError, UnknownNameError
from isozoo.experiments import read_table, table_names
from isozoo.experiments.table import merged

settings = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(st.sampled_from("abc"), settings, max_size=3)


@pytest.mark.parametrize("name", table_names())
def test_every_cell_has_a_recipe_that_can_be_trained_under_a_name_of_its_own(name):
    table = read_table(name)
    for scale in ("small", "paper"):
        cells = list(table.cells(scale))
        assert cells
        names = [
            (r["model"]["name"], r["tag"]) for cell in cells for r in map(cell.recipe, cell.seeds)
        ]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", table_names())
def test_published_figures_belong_to_columns(name):
    table = read_table(name)
    columns = {column.name for column in table.columns}
    for row in table.rows:
        assert set(row.published) <= columns
        assert all(0 <= value < 100 for value in row.published.values())
    assert bool(table.source) == any(row.published for row in table.rows)


@pytest.mark.parametrize("name", table_names())
def test_claims_are_about_cells_and_agree_with_the_published_figures(name):
    table = read_table(name)
    rows = {row.name: row for row in table.rows}
    columns = {column.name for column in table.columns}
    assert table.claims
    for claim in table.claims:
        assert {claim.better[1], claim.than[1]} <= columns
        one, other = (rows[row].published.get(column) for row, column in (claim.better, claim.than))
        if table.source:
            assert one is not None
            assert other is not None
            assert one > other, claim.says


def test_the_paper_scale_has_the_official_hyper_parameters():
    cells = {(c.row.name, c.column.name): c for c in read_table("depth").cells("paper")}
    risonet = cells["r-isonet-dropout", "101"].settings
    assert risonet["batch_size"] == 256
    assert risonet["optimizer"]["learning_rate"] == 0.1
    assert risonet["model"] == {"name": "r-isonet-101", "dropout": 0.4}
    assert cells["isonet", "50"].settings["optimizer"]["learning_rate"] == 0.02


def test_the_ablation_takes_one_part_after_the_other_away():
    from isozoo.training import Recipe

    found = {}
    for cell in read_table("ablation").cells("paper"):
        network = Recipe.from_dict(cell.recipe(0)).architecture(1000)
        found[cell.row.name] = (
            network.activation,
            network.initializer,
            network.orthogonality > 0,
            network.conv_bias,
        )
    assert found == {
        "resnet": ("relu", "he", False, False),
        "vanilla": ("relu", "he", False, True),
        "delta-penalty": ("relu", "delta", True, True),
        "srelu": ("srelu", "he", False, False),
        "srelu-penalty": ("srelu", "he", True, False),
        "srelu-delta": ("srelu", "delta", False, False),
        "isonet": ("srelu", "delta", True, False),
    }


@given(mappings, mappings)
def test_merging_is_idempotent_and_the_changes_win(one, other):
    both = merged(one, other)
    assert merged(both, other) == both
    assert set(both) == {*one, *other}
    for key, value in other.items():
        if not isinstance(value, dict):
            assert both[key] == value


def test_the_first_rows_columns_and_seeds_can_be_chosen(tiny):
    table = read_table(str(tiny))
    assert [(c.row.name, c.column.name, c.seeds) for c in table.cells("small")] == [
        ("isonet", "8", (0, 1)),
        ("wild", "8", (0,)),
    ]
    (cell,) = table.cells("small", rows=["isonet"], columns=["16"], seeds=1)
    assert cell.seeds == (0,)
    assert cell.settings["batch_size"] == 8
    assert cell.settings["model"]["name"] == "isonet-8-w16"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scale": "smal"}, "unknown scale 'smal'; did you mean 'small'"),
        ({"scale": "small", "rows": ["iso"]}, "unknown row 'iso'; did you mean 'isonet'"),
        ({"scale": "small", "columns": ["3"]}, "unknown column '3'; known: 16, 8"),
    ],
)
def test_what_a_table_does_not_have_is_named(tiny, arguments, said):
    with pytest.raises(UnknownNameError, match=said):
        list(read_table(str(tiny)).cells(**arguments))


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown table 'dept'; did you mean 'depth'"):
        read_table("dept")
    with pytest.raises(RecipeError, match=r"no table at .*mine\.toml"):
        read_table(str(tmp_path / "mine.toml"))


def test_a_table_with_a_wrong_key_is_refused(tiny):
    tiny.write_text(tiny.read_text().replace("headline = true", "headlines = true"))
    with pytest.raises(RecipeError, match="unknown setting in rows 'headlines'"):
        read_table(str(tiny))
    tiny.write_text("title = ")
    with pytest.raises(RecipeError, match="is not a TOML file"):
        read_table(str(tiny))
