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
    assert table.claims
    if not table.source:
        return
    for claim in table.claims:
        found = {what: rows[row].published[column] for what, (row, column) in claim.cells.items()}
        if claim.better:
            assert found["better"] > found["than"], claim.says
        else:
            assert bool(found.get("trains", 0)) == bool(claim.trains), claim.says


#: Learning rate per 256 images, factor of the penalty and dropout in the authors' files.
OFFICIAL = {
    **dict.fromkeys([("isonet", 18), ("isonet", 34), ("isonet", 50)], (0.02, 1e-4, 0.1)),
    ("isonet", 101): (0.02, 3e-4, 0.1),
    **{("r-isonet", depth): (0.1, 1e-4, 0.4) for depth in (18, 34, 50, 101)},
}


@pytest.mark.parametrize(("family", "depth"), OFFICIAL)
def test_the_paper_scale_has_the_official_hyper_parameters(family, depth):
    from isozoo.training import Recipe

    rate, penalty, dropout = OFFICIAL[family, depth]
    (cell,) = read_table("depth").cells("paper", rows=[family], columns=[str(depth)])
    recipe = Recipe.from_dict(cell.recipe(0))
    network = recipe.architecture(1000)
    assert (network.name, network.orthogonality) == (f"{family}-{depth}", penalty)
    assert (recipe.optimizer.learning_rate, recipe.batch_size) == (rate, 256)
    assert (recipe.optimizer.momentum, recipe.optimizer.nesterov) == (0.9, False)
    assert recipe.optimizer.weight_decay == 1e-4
    assert (recipe.schedule.name, recipe.schedule.milestones) == ("milestones", (30, 60, 90))
    assert (recipe.schedule.warmup_epochs, recipe.schedule.gamma, recipe.epochs) == (5, 0.1, 100)
    assert recipe.phase_ranges()[0][1] == recipe.preparation().size == 224
    # The rows without dropout are the slides', those with it the authors' files'.
    assert network.dropout == 0
    if family == "r-isonet":
        (cell,) = read_table("depth").cells(
            "paper", rows=["r-isonet-dropout"], columns=[str(depth)]
        )
        assert Recipe.from_dict(cell.recipe(0)).architecture(1000).dropout == dropout


#: ImageNet top-1 by depth on the authors' slides; 0 where they have N/A.
PUBLISHED = {
    "resnet": (69.67, 73.29, 76.60, 77.37),
    "resnet-dropout": (68.91, 73.35, 76.40, 77.99),
    "vanilla": (65.67, 63.09, 0, 0),
    "vanilla-shortcut": (65.66, 0, 0, 0),
    "vanilla-bn": (68.98, 69.43, 70.00, 0),
    "isonet": (67.94, 70.45, 70.73, 70.38),
    "r-isonet": (69.06, 72.17, 74.20, 75.44),
    "r-isonet-dropout": (69.17, 73.43, 76.18, 77.08),
    "fixup": (68.63, 71.28, 72.40, 73.18),
    "fixup-mixup": (67.37, 72.56, 76.00, 76.17),
}


def test_the_published_figures_are_the_slides():
    found = {row.name: tuple(row.published.values()) for row in read_table("depth").rows}
    assert found == PUBLISHED


def test_convolutions_have_biases_where_the_authors_would_give_them_some():
    from isozoo.models.parts import original_conv_bias
    from isozoo.training import Recipe

    for name in ("ablation", "activations"):
        for cell in read_table(name).cells("small"):
            network = Recipe.from_dict(cell.recipe(0)).architecture(10)
            wanted = original_conv_bias(network.normalization, network.activation)
            assert network.conv_bias == wanted, cell.row.name


def test_scalings_follow_the_number_of_branches():
    cells = {cell.row.name: cell for cell in read_table("scalings").cells("small")}
    assert cells["root"].settings["model"]["residual_scale"] == 16**-0.5
    assert cells["learned"].settings["model"]["residual_scale_trainable"]


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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "wild"', 'name = "isonet"', "2 rows of tiny are called 'isonet'"),
        ("w{column}{variant}", "w{colum}", "row 'isonet' of tiny must say model.name"),
        ('model = { name = "vanilla-8-w{column}" }', "", "row 'wild' of tiny must say model.name"),
        ("16 = 0 }", "17 = 0 }", "tiny has no column 17, which isonet published"),
        ('dataset = "nowhere"', 'extends = "smal"', "unknown scale to extend 'smal'"),
        ("[[rows]]", '[[claims]]\nsays = "a"\nfails = ["a", "8"]\n[[rows]]', "is about a 8"),
        ("[[rows]]", '[[claims]]\nsays = "a"\n[[rows]]', "must name `better` and `than`"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(tiny, old, new, said):
    tiny.write_text(tiny.read_text().replace(old, new, 1))
    with pytest.raises(RecipeError, match=said):
        read_table(str(tiny))


def test_a_table_that_is_no_toml_is_refused(tiny):
    tiny.write_text("title = ")
    with pytest.raises(RecipeError, match="is not a TOML file"):
        read_table(str(tiny))
