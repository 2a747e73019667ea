"""What the documents say of smoothness and batch normalisation; `docs_tables.py` puts it into them.

The numbers are from what ``python benchmarks/vgg.py`` wrote to
``benchmarks/results/diagnostics/vgg.json``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from performance_tables import ROOT
from tables import table

from isozoo.diagnostics.result import png
from isozoo.diagnostics.showing import number
from isozoo.experiments.vgg import Measured, Study
from isozoo.experiments.vgg_pairs import LEAST, SHARE, Pair
from isozoo.experiments.vgg_scales import scales

RESULTS = ROOT / "benchmarks" / "results" / "diagnostics" / "vgg.json"
#: What tables call the networks.
FAVOURS = {"BN": "with BN", "plain": "without", "undecided": "undecided"}


@functools.cache
def study() -> Study:
    """Return what was measured."""
    return Study.read(RESULTS)


def setting() -> str:
    """Return what was trained, in a few sentences."""
    found = study()
    scale = scales()[found.scale]
    steps = found.plain.distances.steps[-1]
    measured = ", ".join(str(step) for step in found.plain.exact.steps)
    recipe = scale.recipe_of(found.plain.network)
    minutes = sum(m.seconds for m in (found.plain, found.normalised)) / 60
    return (
        f"`{found.plain.network}` ({found.plain.parameters:,} trained values) and "
        f"`{found.normalised.network}` ({found.normalised.parameters:,}), {found.dataset}, "
        f"{found.images:,} images to train on, {recipe.epochs} epochs of batches of "
        f"{recipe.batch_size}: {steps} steps, SGD with momentum {recipe.optimizer.own['momentum']}"
        f" and learning rate {recipe.optimizer.learning_rate}, one seed. Measured before steps "
        f"{measured}, on the batch that the step trained on. {minutes:.1f} minutes of one "
        "processor, training and measuring.\n"
    )


def medians() -> str:
    """Return the numbers of each measure, and which network they are in favour of."""
    found = study()
    accuracies = [f"{100 * m.accuracy[-1]:.1f} %" for m in (found.plain, found.normalised)]
    rows = [("validation accuracy, at the end", *accuracies, "", "")]
    rows += [
        (pair.name, *map(number, pair.medians), _count(pair), FAVOURS[pair.favours])
        for pair in found.compared()
    ]
    return table("median|without BN:|with BN:|smaller with BN:|in favour of", rows)


def _count(pair: Pair) -> str:
    return f"{pair.smaller} of {pair.moments}"


def over_time() -> str:
    """Return beta and gradient norm at each step that was measured."""
    found = study()

    def cells(measured: Measured, row: int) -> list[str]:
        exact = measured.exact
        return [number(exact.gradient_norm[row]), number(exact.beta[row])]

    return table(
        "step|gradient, without BN:|beta, without:|gradient, with BN:|beta, with:",
        (
            (str(step), *cells(found.plain, row), *cells(found.normalised, row))
            for row, step in enumerate(found.plain.exact.steps)
        ),
    )


def rule() -> str:
    """Return when a measure is in favour of a network."""
    return (
        "The networks are compared at each moment. A measure is in favour of one of them if at "
        f"least {100 * SHARE:.0f} % of the moments are, of which there are {LEAST} or more. What "
        "is measured once, at the end, decides nothing, and one seed little. The rows depend on "
        "each other: those by a norm or a distance are of the same gradients.\n"
    )


def verdict() -> str:
    """Return in sentences which measures are in favour of which network."""
    pairs = study().compared()
    sentences = []
    for name, words in (
        ("BN", "In favour of batch normalisation"), ("plain", "Against it"),
        ("undecided", "Undecided"),
    ):  # fmt: skip
        rows = [f"{pair.name} ({_count(pair)})" for pair in pairs if pair.favours == name]
        sentences.append(f"{words}: {'; '.join(rows) or 'none'}.")
    return (
        "Of the measures, and in brackets at how many moments they are smaller with batch "
        f"normalisation:\n\n{''.join(f'- {sentence}{chr(10)}' for sentence in sentences)}"
    )


class Claim(NamedTuple):
    """Something that is said of batch normalisation.

    Args:
        says: What.
        by: Who says it.
        row: The measure that decides.
        outcomes: What becomes of it, by which network the measure is in favour of.
    """

    says: str
    by: str
    row: str
    outcomes: Mapping[str, str]


_SMOOTHER = {"BN": "agrees", "plain": "does not agree", "undecided": "undecided"}
_NO_BETTER = {"BN": "does not agree", "plain": "agrees", "undecided": "not contradicted"}
_SANTURKAR = "Santurkar et al. 2018"
CLAIMS = (
    Claim("With BN the loss varies less along its gradient.", _SANTURKAR,
          "width of the loss range", _SMOOTHER),
    Claim("With BN the gradient changes less along itself.", _SANTURKAR,
          "largest difference of gradients", _SMOOTHER),
    Claim("With BN the effective beta-smoothness is smaller.", _SANTURKAR,
          "effective beta-smoothness", _SMOOTHER),
    Claim("With BN gradients shift as much or more: their distance.", _SANTURKAR,
          "covariate shift, L2", _NO_BETTER),
    Claim("With BN gradients shift as much or more: their angle.", _SANTURKAR,
          "covariate shift, cosine", _NO_BETTER),
    Claim("With BN the distributions of what layers are given move less.",
          "Ioffe and Szegedy 2015", "drift of what later layers are given", _SMOOTHER),
)  # fmt: skip


def claims() -> str:
    """Return what became of each claim."""
    pairs = {pair.name: pair for pair in study().compared()}
    rows = []
    for claim in CLAIMS:
        pair = pairs[claim.row]
        without, with_it = map(number, pair.medians)
        shown = f"{claim.row} smaller at {_count(pair)}; {without} without, {with_it} with"
        rows.append((claim.says, claim.by, shown, claim.outcomes[pair.favours]))
    return table("claim|claimed by|measured|outcome", rows)


def drift() -> str:
    """Return of what batch and in which mode the drift is."""
    found = study()
    # What one batch brings to the first layer does not move.
    one = not any(m.activations.drift[:, 0].any() for m in (found.plain, found.normalised))
    batch = (
        "of one batch of validation images"
        if one
        else "of another batch at each step, the one trained on, so that it is in part the "
        "difference of batches"
    )
    return (
        f"The drift is {batch}; of all layers but the first, which is given the images; and in "
        "inference mode, so that batch normalisation is seen with its running statistics.\n"
    )


def modes() -> str:
    """Return what the mode of the second gradient makes of the covariate shift."""
    pairs = {pair.name: pair for pair in study().compared()}
    defined, notebook = (pairs[f"covariate shift, cosine{end}"] for end in ("", ", notebook"))
    without, with_it = (
        f"{number(one)} by the definition and {number(other)} as the notebook has it"
        for one, other in zip(defined.medians, notebook.medians, strict=True)
    )
    return (
        f"The cosine of a layer's two gradients is {with_it} with batch normalisation, {without} "
        "without.\n"
    )


REGIONS = {
    "smoothness-setting": setting,
    "smoothness-medians": medians,
    "smoothness-steps": over_time,
    "smoothness-rule": rule,
    "smoothness-verdict": verdict,
    "smoothness-claims": claims,
    "smoothness-drift": drift,
    "smoothness-modes": modes,
}


def pictures() -> dict[str, bytes]:
    """Return the pictures of the page by their places in the assets."""
    return {"smoothness/vgg": png(study().plot())}
