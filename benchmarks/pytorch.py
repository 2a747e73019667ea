"""The rival in PyTorch: networks, penalty and training step as the authors of ISONet have them.

    isozoo benchmark training r-isonet-50 --against benchmarks/pytorch.py:r-isonet-50

Written anew from what their code computes (HaozhiQi/ISONet): the modules and their keys, SReLU as
`relu(x - b) + b`, the penalty as a convolution of each kernel with itself as a padded image and
autograd for its gradient, SGD with three groups of parameters. Variants follow the name and an `@`:
`no-penalty`; `channels_last`, PyTorch's other memory format, which the authors do not use and which
is the faster one on some machines. It computes on the GPU if PyTorch sees one. Batches are NumPy's,
in the order of axes that the memory format has, and the result comes back to the host.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from isozoo.models.architecture import Architecture, architecture

VARIANTS = ("no-penalty", "channels_last")


class SReLU(nn.Module):
    """The larger of the input and a learned number for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.srelu_bias = nn.Parameter(torch.full((1, channels, 1, 1), -1.0))

    def forward(self, x):
        """Return the activation of `(batch, channels, height, width)`."""
        return functional.relu(x - self.srelu_bias) + self.srelu_bias


class SharedScale(nn.Module):
    """One learned factor, which ends a residual branch."""

    def __init__(self, value: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 1, 1, 1), value))

    def forward(self, x):
        """Return the scaled branch."""
        return x * self.scale


ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda channels: nn.ReLU(inplace=True),
    "srelu": SReLU,
}
NORMALIZATIONS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "batch": nn.BatchNorm2d,
}
#: Kernel sizes of a branch, and which of them has the stride.
BRANCHES = {"basic": ((3, 3), 0), "bottleneck": ((1, 3, 1), 1)}


def convolution(a: Architecture, c_in: int, c_out: int, size: int, stride: int) -> nn.Conv2d:
    """Return a convolution with symmetric zero padding."""
    return nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=a.conv_bias)


def normalized(a: Architecture, name: str, layer: nn.Conv2d) -> OrderedDict[str, nn.Module]:
    """Return a convolution and the normalisation behind it, if there is one, by their keys."""
    make = NORMALIZATIONS[a.normalization]
    found = OrderedDict({name: layer})
    if make is not None:
        bn = "bn" if name in ("conv", "proj") else f"{name}_bn"
        found[bn] = make(layer.out_channels)
    return found


def branch(a: Architecture, c_in: int, inner: int, outer: int, stride: int) -> nn.Sequential:
    """Return the convolutions of a block, up to the shared scale."""
    sizes, strided = BRANCHES[a.block]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (letter, size) in enumerate(zip("abc", sizes, strict=False)):
        end = i == len(sizes) - 1
        c_out = outer if end else inner
        layer = convolution(a, c_in, c_out, size, stride if i == strided else 1)
        parts |= normalized(a, letter, layer)
        if not end:
            parts[f"{letter}_relu"] = ACTIVATIONS[a.activation](c_out)
        c_in = c_out
    if a.residual_scale is not None:
        parts["shared_scalar"] = SharedScale(a.residual_scale)
    return nn.Sequential(parts)


class Block(nn.Module):
    """A branch, the shortcut around it if the network has them, and the activation behind both."""

    def __init__(self, a: Architecture, c_in: int, inner: int, stride: int):
        super().__init__()
        outer = inner * a.expansion
        self.shortcut = a.shortcut != "none"
        self.projected = self.shortcut and (c_in != outer or stride != 1)
        if self.projected:
            layer = convolution(a, c_in, outer, 1, stride)
            for name, module in normalized(a, "proj", layer).items():
                self.add_module(name, module)
        self.f = branch(a, c_in, inner, outer, stride)
        self.relu = ACTIVATIONS[a.activation](outer)

    def forward(self, x):
        """Return the activation of branch and shortcut."""
        y = self.f(x)
        if self.projected:
            x = self.proj(x)
            x = self.bn(x) if hasattr(self, "bn") else x
        return self.relu(x + y if self.shortcut else y)


class Head(nn.Module):
    """Mean over the image, dropout, one linear layer."""

    def __init__(self, a: Architecture):
        super().__init__()
        self.dropout = nn.Dropout(a.dropout)
        self.fc = nn.Linear(a.features, a.classes)

    def forward(self, x):
        """Return logits."""
        return self.fc(self.dropout(x.mean((2, 3))))


def network(a: Architecture) -> nn.Sequential:
    """Return the network of a description, with the authors' keys and PyTorch's random values."""
    imagenet = a.stem == "imagenet"
    size, stride = (7, 2) if imagenet else (3, 1)
    stem = normalized(a, "conv", convolution(a, a.channels, a.width, size, stride))
    stem["relu"] = ACTIVATIONS[a.activation](a.width)
    if imagenet:
        stem["pool"] = nn.MaxPool2d(3, 2, 1)
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(stem))
    c_in = a.width
    for number, count in enumerate(a.blocks):
        inner, blocks = a.width * 2**number, OrderedDict()
        for index in range(count):
            strided = number > 0 and index == 0
            blocks[f"b{index + 1}"] = Block(a, c_in, inner, 2 if strided else 1)
            c_in = inner * a.expansion
        parts[f"s{number + 1}"] = nn.Sequential(blocks)
    parts["head"] = Head(a)
    return nn.Sequential(parts)


def orthogonality(model: nn.Module) -> torch.Tensor:
    """Return the penalty of all convolutions but the 7x7 and those on three channels.

    Half the squared distance of the kernel, convolved with itself, from the identity at its centre.
    """
    total = torch.zeros((), device=next(model.parameters()).device)
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d) or layer.in_channels == 3:
            continue
        if layer.kernel_size == (7, 7):
            continue
        kernel = layer.weight
        if kernel.shape[1] < kernel.shape[0]:
            kernel = kernel.transpose(0, 1)
        padding = (kernel.shape[2] - 1, kernel.shape[3] - 1)
        gram = functional.conv2d(kernel, kernel, stride=layer.stride, padding=padding)
        target = torch.zeros_like(gram)
        n, _, height, width = gram.shape
        target[:, :, height // 2, width // 2] = torch.eye(n, device=kernel.device)
        total = total + 0.5 * ((gram - target) ** 2).sum()
    return total


def optimizer(model: nn.Module) -> torch.optim.SGD:
    """Return SGD with the authors' groups: shifts of SReLU, shared scales, the rest."""
    groups: dict[str, list[nn.Parameter]] = {"srelu": [], "shared": [], "rest": []}
    for name, parameter in model.named_parameters():
        kind = next((kind for kind in ("srelu", "shared") if kind in name), "rest")
        groups[kind].append(parameter)
    rate = 1e-5  # so small that values which never were trained stay finite; it costs no time
    settings = {"srelu": {"weight_decay": 0.0}, "shared": {"lr": 0.1 * rate}, "rest": {}}
    chosen = [{"params": groups[kind], **settings[kind]} for kind in groups if groups[kind]]
    return torch.optim.SGD(chosen, lr=rate, momentum=0.9, weight_decay=1e-4)


def device() -> torch.device:
    """Return the GPU, if there is one that PyTorch can use."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def finished(number: torch.Tensor) -> float:
    """Return a number when the device has done all that it was given."""
    if number.is_cuda:
        torch.cuda.synchronize()
    return number.item()


def prepared(name: str) -> tuple[Architecture, nn.Module, set[str]]:
    """Return the description, the network on its device, and the variants that were named."""
    base, _, joined = name.partition("@")
    variants = set(joined.split("+")) - {""}
    if unknown := variants - set(VARIANTS):
        raise ValueError(f"unknown variants {sorted(unknown)}; known: {', '.join(VARIANTS)}")
    torch.manual_seed(0)
    a = architecture(base)
    model = network(a)
    with torch.no_grad():
        for scale in (m.scale for m in model.modules() if isinstance(m, SharedScale)):
            scale.fill_(0.1)  # at 0, where it starts, branches would have no gradient
    last = "channels_last" in variants
    layout = torch.channels_last if last else torch.contiguous_format
    return a, model.to(device(), memory_format=layout), variants


def batch(
    a: Architecture, size: int, side: int | None, variants: set[str]
) -> Callable[[], torch.Tensor]:
    """Return a function that brings a batch of random numbers from NumPy to the device."""
    side, rng = side or a.image_size, np.random.default_rng(1)
    if "channels_last" in variants:
        last = rng.normal(size=(size, side, side, a.channels)).astype("float32")
        # A view: PyTorch names the axes in the one order and keeps them in the other.
        return lambda: torch.from_numpy(last).permute(0, 3, 1, 2).to(device())
    first = rng.normal(size=(size, a.channels, side, side)).astype("float32")
    return lambda: torch.from_numpy(first).to(device())


def inference(name: str, batch_size: int, image_size: int | None) -> Callable[[], np.ndarray]:
    """Prepare logits of one batch."""
    a, model, variants = prepared(name)
    images = batch(a, batch_size, image_size, variants)
    model.eval()

    def repeat() -> np.ndarray:
        with torch.inference_mode():
            return model(images()).cpu().numpy()

    return repeat


def training(name: str, batch_size: int, image_size: int | None) -> Callable[[], float]:
    """Prepare one whole step."""
    a, model, variants = prepared(name)
    factor = 0.0 if "no-penalty" in variants else a.orthogonality
    images = batch(a, batch_size, image_size, variants)
    labels = np.random.default_rng(2).integers(a.classes, size=batch_size)
    sgd = optimizer(model)
    model.train()

    def repeat() -> float:
        sgd.zero_grad()
        loss = functional.cross_entropy(model(images()), torch.from_numpy(labels).to(device()))
        if factor:
            loss = loss + factor * orthogonality(model)
        loss.backward()
        sgd.step()
        return finished(loss.detach())

    return repeat


def penalty(name: str) -> Callable[[], float]:
    """Prepare the penalty of all kernels, and its gradient."""
    _, model, _ = prepared(name)

    def repeat() -> float:
        model.zero_grad()
        value = orthogonality(model)
        value.backward()
        return finished(value.detach())

    return repeat
