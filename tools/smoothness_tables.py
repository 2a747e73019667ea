"""What the documents say of smoothness and batch normalisation; `docs_tables.py` puts it into them.

The numbers are from what ``python benchmarks/vgg.py`` wrote to
``benchmarks/results/diagnostics/vgg.json``.
"""

from __future__ import annotations

import functools

from performance_tables import ROOT
from tables import table

from isozoo.diagnostics.result import png
from isozoo.diagnostics.showing import number
from isozoo.experiments.vgg import Measured, Study
from isozoo.experiments.vgg_scales import scales

RESULTS = ROOT / "benchmarks" / "results" / "diagnostics" / "vgg.json"


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
    rows = [("validation accuracy", *accuracies, "")]
    rows += [
        (name, number(plain), number(normalised), "with BN" if smoother else "without")
        for name, plain, normalised, smoother in found.compared()
    ]
    return table("median of the steps measured|without BN:|with BN:|in favour of", rows)


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


def verdict() -> str:
    """Return in a sentence how many measures are in favour of batch normalisation."""
    compared = study().compared()
    in_favour = [name for name, _, _, better in compared if better]
    others = [name for name, _, _, better in compared if not better]
    text = f"{len(in_favour)} of {len(compared)} measures are in favour of batch normalisation"
    return f"{text}; against it are: {'; '.join(others)}.\n" if others else f"{text}.\n"


def modes() -> str:
    """Return what the mode of the second gradient makes of the covariate shift."""
    found = {name: pair for name, *pair, _ in study().compared()}
    defined, notebook = (found[f"covariate shift, cosine{end}"] for end in ("", ", notebook"))
    without, with_it = (
        f"{number(one)} by the definition and {number(other)} as the notebook has it"
        for one, other in zip(defined, notebook, strict=True)
    )
    return (
        f"The cosine of a layer's two gradients is {with_it} with batch normalisation, {without} "
        "without.\n"
    )


REGIONS = {
    "smoothness-setting": setting,
    "smoothness-medians": medians,
    "smoothness-steps": over_time,
    "smoothness-verdict": verdict,
    "smoothness-modes": modes,
}


def pictures() -> dict[str, bytes]:
    """Return the pictures of the page by their places in the assets."""
    return {"smoothness/vgg": png(study().plot())}
