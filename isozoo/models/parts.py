"""The parts that an architecture chooses between: what each is, and who described it.

Keras-free; `isozoo.models.blocks` has the layers of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from isozoo.errors import unknown


class Part(NamedTuple):
    """One value of a field of `Architecture`.

    Args:
        what: What it is, in words or as a formula.
        source: Who described it; empty where nobody has to be named.
    """

    what: str
    source: str = ""


_QI = "Qi et al., ICML 2020"
_WU = "Wu and He, ECCV 2018"

#: What a field may hold, in the order of tables.
PARTS: Mapping[str, Mapping[str, Part]] = {
    "normalization": {
        "none": Part("nothing"),
        "batch": Part("each channel over the batch", "Ioffe and Szegedy, ICML 2015"),
        "group": Part("each image in 32 groups of channels, or as many as divide them", _WU),
        "layer": Part("each image, all channels together", "Ba et al., 2016"),
        "instance": Part("each channel of each image", "Ulyanov et al., 2016"),
        "batch-instance": Part(
            "`batch` and `instance`, mixed per channel by a learned gate",
            "Nam and Kim, NeurIPS 2018",
        ),
    },
    "activation": {
        "relu": Part("$\\max(x, 0)$", "Nair and Hinton, ICML 2010"),
        "leaky-relu": Part("$\\max(x, 0.01\\,x)$", "Maas et al., ICML workshop 2013"),
        "prelu": Part(
            "$\\max(x, 0) + a_c \\min(x, 0)$, the slope $a_c$ of each channel learned from 0.25",
            "He et al., ICCV 2015",
        ),
        "elu": Part("$x$ if positive, else $e^x - 1$", "Clevert et al., ICLR 2016"),
        "selu": Part(
            "$1.0507\\,x$ if positive, else $1.7581\\,(e^x - 1)$",
            "Klambauer et al., NeurIPS 2017",
        ),
        "silu": Part("$x\\,\\sigma(x)$, also called Swish", "Ramachandran et al., 2017"),
        "gelu": Part("$x\\,\\Phi(x)$, not approximated", "Hendrycks and Gimpel, 2016"),
        "maxout": Part(
            "the larger of two numbers, so the convolution in front has twice the filters",
            "Goodfellow et al., ICML 2013",
        ),
        "srelu": Part("$\\max(x, b_c)$, the shift $b_c$ of each channel learned from -1", _QI),
        "srelu-before-padding": Part(
            "`srelu` in front of padded convolutions and `relu` elsewhere, which "
            "`Classifier.fuse` makes of `srelu`"
        ),
    },
    "initializer": {
        "xavier": Part(
            "uniform, variance 2 / (fan-in + fan-out)", "Glorot and Bengio, AISTATS 2010"
        ),
        "xavier-normal": Part(
            "normal cut off at two deviations, of the same variance; the dense layers, too",
            "Glorot and Bengio, AISTATS 2010",
        ),
        "he": Part("normal, variance 2 / fan-out; also asked for as `kaiming`", "He et al., 2015"),
        "orthogonal": Part(
            "the kernel as a matrix, all taps and channels by filters, orthogonal at random",
            "Saxe et al., ICLR 2014",
        ),
        "delta-orthogonal": Part(
            "an orthogonal matrix at random on the centre tap, zero on the others",
            "Xiao et al., ICML 2018",
        ),
        "delta": Part(
            "the identity on the centre tap, zero on the others",
            f"{_QI}; Zagoruyko and Komodakis, 2017",
        ),
        "fixup": Part(
            "`he` made smaller with the number of branches, each of which ends in zeros",
            "Zhang et al., ICLR 2019",
        ),
    },
    "shortcut": {
        "none": Part("no shortcut"),
        "projection": Part("a 1x1 convolution where the shape changes", "He et al., CVPR 2016"),
        "zero-pad": Part(
            "every stride-th pixel, and channels of zeros appended", "He et al., CVPR 2016"
        ),
    },
}

#: Other names of values, which an architecture takes for them.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "activation": {"swish": "silu"},
    "initializer": {"kaiming": "he", "glorot": "xavier", "glorot-normal": "xavier-normal"},
}

#: Numbers that an activation chooses one of, where it is not one.
PIECES: Mapping[str, int] = {"maxout": 2}

#: Activations that add a number to each channel, so that the convolution before need not.
SHIFTED = ("srelu", "srelu-before-padding")

#: Residual scalings: from the number of branches to the first value, and whether it is learned.
RESIDUAL_SCALINGS: Mapping[str, tuple[Callable[[int], float], bool]] = {
    "1": (lambda branches: 1.0, False),
    "0": (lambda branches: 0.0, False),
    "0.1": (lambda branches: 0.1, False),
    "1/sqrt(L)": (lambda branches: branches**-0.5, False),
    "learned": (lambda branches: 0.0, True),
}


def residual_scaling(name: str, branches: int) -> dict[str, Any]:
    r"""Return the fields of `Architecture` that scale residual branches in a certain way.

    Constants $1$, $0$, $0.1$ and $1/\sqrt L$, or R-ISONet's: learned, from $0$.

    Args:
        name: A key of `RESIDUAL_SCALINGS`.
        branches: Number $L$ of residual branches, at least 1: `Architecture.branches`.

    Raises:
        UnknownNameError: There is no such scaling.

    Reference:
        Qi et al., ICML 2020, section 3.4, for the learned one.

    Example:
        >>> residual_scaling("1/sqrt(L)", branches=16)
        {'residual_scale': 0.25, 'residual_scale_trainable': False}
    """
    if name not in RESIDUAL_SCALINGS:
        raise unknown("residual scaling", name, RESIDUAL_SCALINGS)
    value, learned = RESIDUAL_SCALINGS[name]
    return {"residual_scale": value(branches), "residual_scale_trainable": learned}


def original_conv_bias(normalization: str, activation: str) -> bool:
    """Return whether the authors of ISONet would give a network's convolutions a bias.

    They do where neither a normalisation nor the shift of SReLU adds a number to each channel; a
    study that changes one of these changes the biases with it.

    Reference:
        The code of Qi et al., github.com/HaozhiQi/ISONet.

    Example:
        >>> original_conv_bias("none", "relu"), original_conv_bias("none", "srelu")
        (True, False)
    """
    return normalization == "none" and activation not in SHIFTED
