"""A network for use alone: what is linear and fixed after training becomes part of the kernels.

With every SReLU of shift b written as `relu(x - b) + b`, the `- b` is a bias of the convolution
before it, and the `+ b` passes through 1x1 convolutions, sums, and the average over a feature map
into the next bias. It does not pass through a convolution that pads its input with zeros, which
would have to be -b; in front of these an SReLU stays one.

The folded shifts are rounded to the precision of the biases: in float32 that is nothing, in
bfloat16 it is several times the error of the network as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from isozoo.models.architecture import Architecture
from isozoo.models.blocks import BRANCHES, EPSILON
from isozoo.models.classifier import Classifier
from isozoo.models.parts import SHIFTED
from isozoo.models.provenance import Provenance, Subject, provenance_of
from isozoo.models.variables import check_finite, named_values, named_variables

#: Normalisations that are a factor and a summand per channel once training is over.
FOLDED = ("none", "batch")


def fuse(model: Classifier) -> Classifier:
    """Return a classifier that answers the same and needs fewer passes over its feature maps.

    Folded into kernels and biases are residual scales, batch normalisation by its running
    statistics and, where no padded convolution follows, the shifts of SReLU. Fixup's single-number
    biases stay. A network that holds none of this comes back as a copy.

    Args:
        model: The classifier, which stays as it is.

    Returns:
        A classifier of another `architecture`, whose logits differ by rounding only and whose
        feature maps may differ by one number per channel. Its `orthogonality` is 0, as its kernels
        are no isometries. Its `provenance` says what it was fused from and claims no metrics.

    Raises:
        ValueError: The network normalises each image by its own statistics, or has a variable that
            nothing is known of.
        WeightsError: A folded value is NaN or infinite.

    Example:
        >>> from isozoo.models import architecture
        >>> fused = fuse(Classifier(architecture("resnet-8", classes=2)))
        >>> fused.architecture.normalization, fused.architecture.conv_bias
        ('none', True)
    """
    arch = model.architecture
    if arch.normalization not in FOLDED:
        raise ValueError(
            f"{arch.name} cannot be fused: its '{arch.normalization}' normalisation depends on "
            "each image, so no kernel can stand for it; only networks with batch normalisation or "
            "none can be fused"
        )
    other = Classifier(
        fused_architecture(arch),
        model.labels,
        model.preprocessing,
        tuple(model.backbone.input_shape[1:]),
        model.data_format,
        dtype=model.dtype_policy,
        name=model.name,
    )
    before = named_values(model)
    # What overflows is refused below, in words.
    with np.errstate(all="ignore"):
        folded = _Folding(before, arch, other.architecture).run()
        variables = named_variables(other)
        # Layers are found by name: one of another name must not be left out in silence.
        if left := sorted(folded.keys() ^ variables.keys()):
            raise ValueError(
                f"{arch.name} cannot be fused: {', '.join(left[:5])} would be neither kept nor "
                "part of another variable"
            )
        for name, variable in variables.items():
            variable.assign(folded[name])
    after = named_values(other)
    check_finite(after, f"the fused {arch.name}")
    other.provenance = _provenance(model, other)
    other.load_report = _report(model.load_report, before, after)
    return other


def fused_architecture(arch: Architecture) -> Architecture:
    """Return the description of what `fuse` makes of a network.

    Example:
        >>> from isozoo.models import architecture
        >>> fused_architecture(architecture("r-isonet-50")).activation
        'srelu-before-padding'
        >>> fused_architecture(architecture("r-isonet-18")).activation
        'srelu'
    """
    kernels, _ = BRANCHES[arch.block]
    shifts = arch.activation in SHIFTED and 1 in kernels
    return arch.replace(
        normalization="none",
        activation="srelu-before-padding" if shifts else arch.activation,
        conv_bias=arch.conv_bias or arch.normalization == "batch" or shifts,
        residual_scale=None,
        residual_scale_trainable=True,
        zero_last_gamma=False,
        orthogonality=0.0,
    )


class _Folding:
    """Rewrites the values of a network, by `layer/variable`, for its fused architecture.

    Args:
        values: Values of the network's variables.
        arch: What the network is.
        fused: What it is to become.
    """

    def __init__(
        self, values: dict[str, np.ndarray], arch: Architecture, fused: Architecture
    ) -> None:
        self._values = {name: value.astype(np.float64) for name, value in values.items()}
        self._arch = arch
        self._fused = fused
        self._kernels, _ = BRANCHES[fused.block]

    def run(self) -> dict[str, np.ndarray]:
        """Return the new values: those of the fused network, and none that were folded."""
        for name in self._convolutions():
            if self._fused.conv_bias:
                self._values[f"{name}/bias"] = self._bias(name)
            self._fold_normalization(name)
            self._fold_scale(name)
        if self._fused.activation == "srelu-before-padding":
            self._fold_shifts()
        return self._values

    def _blocks(self) -> Iterator[str]:
        for stage, blocks in enumerate(self._fused.blocks, start=1):
            yield from (f"s{stage}_b{block}" for block in range(1, blocks + 1))

    def _convolutions(self) -> list[str]:
        ending = "/kernel"
        names = [name.removesuffix(ending) for name in self._values if name.endswith(ending)]
        return [name for name in names if not name.startswith("head")]

    def _fold_normalization(self, conv: str) -> None:
        norm = conv.removesuffix("_conv").removesuffix("_proj") + "_bn"
        if f"{norm}/gamma" in self._values:
            gamma, beta, mean, variance = (
                self._values.pop(f"{norm}/{name}")
                for name in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            factor = gamma / np.sqrt(variance + EPSILON)
            self._multiply(conv, factor)
            self._add(conv, beta - mean * factor)

    def _fold_scale(self, conv: str) -> None:
        """Fold the scale of the branch that a convolution ends, if it does."""
        branch, _, letter = conv.rpartition("_")
        if letter != "abc"[len(self._kernels) - 1]:
            return
        name = f"{branch}_shared_scalar/scale"
        if name in self._values:
            self._multiply(conv, self._values.pop(name))
        elif not self._arch.residual_scale_trainable:
            self._multiply(conv, np.asarray(self._arch.residual_scale))

    def _fold_shifts(self) -> None:
        """Carry the shift that is missing from each feature map on to where it is added."""
        missing = self._shift("stem_conv", "stem_relu", self._kernels[0])
        for block in self._blocks():
            skipped, last = missing, f"{block}_f_{'abc'[len(self._kernels) - 1]}"
            for i, following in enumerate((*self._kernels[1:], None)):
                conv = f"{block}_f_{'abc'[i]}"
                self._carry(conv, missing)
                if following is not None:
                    missing = self._shift(conv, f"{conv}_relu", following)
            if f"{block}_proj/kernel" in self._values:
                self._carry(f"{block}_proj", skipped)
            elif self._fused.shortcut != "none":
                appended = len(self._values[f"{last}/bias"]) - len(skipped)
                self._add(last, np.pad(skipped, (0, appended)))
            missing = self._shift(last, f"{block}_relu", self._kernels[0])
        self._carry("head_fc", missing)

    def _shift(self, conv: str, activation: str, following: int) -> np.ndarray:
        """Fold the shift of an activation, unless padding follows; return what is then missing."""
        # A fused network has ReLUs already, which lack nothing.
        name = f"{activation}/shift"
        if following > 1 or name not in self._values:
            return np.zeros(self._values[f"{conv}/kernel"].shape[-1])
        shift = self._values.pop(name)
        self._add(conv, -shift)
        return shift

    def _carry(self, layer: str, missing: np.ndarray) -> None:
        """Add what is missing from the input of a 1x1 convolution or dense layer to its bias."""
        if missing.any():
            kernel = self._values[f"{layer}/kernel"]
            self._add(layer, missing @ kernel.reshape(kernel.shape[-2:]))

    def _multiply(self, conv: str, factor: np.ndarray) -> None:
        self._values[f"{conv}/kernel"] = self._values[f"{conv}/kernel"] * factor
        if f"{conv}/bias" in self._values:
            self._values[f"{conv}/bias"] *= factor

    def _add(self, layer: str, summand: np.ndarray) -> None:
        self._values[f"{layer}/bias"] += summand

    def _bias(self, layer: str) -> np.ndarray:
        filters = self._values[f"{layer}/kernel"].shape[-1]
        return self._values.get(f"{layer}/bias", np.zeros(filters))


def _provenance(model: Classifier, fused: Classifier) -> Provenance | None:
    """Return licence and source, as long as the model still is what they were said of."""
    known = provenance_of(model)
    if known.subject is None:
        return None
    name = known.full_name(model.architecture)
    source = f"fused from {name}, fingerprint {known.subject.fingerprint[:16]}"
    return Provenance(
        licence=known.licence,
        source=f"{source}: {known.source}" if known.source else source,
        subject=Subject.of(fused),
    )


def _report(before: Any, old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> Any:
    """Return the load report brought up to date, or None if the model was not loaded."""
    if before is None:
        return None
    kept = [name for name in new if name in old and np.array_equal(old[name], new[name])]
    changed = tuple(name for name in new if name not in kept and name not in before.fresh)
    assigned = tuple(name for name in before.assigned if name in kept)
    adapted = tuple(dict.fromkeys((*(n for n in before.adapted if n in new), *changed)))
    fresh = tuple(name for name in before.fresh if name in new)
    return dataclasses.replace(before, assigned=assigned, adapted=adapted, fresh=fresh)
