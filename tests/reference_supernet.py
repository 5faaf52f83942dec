"""The supernet of DARTS, plain and slow, written from the paper and not from `darts/`.

Every edge evaluates every operation, none included, stacks the results and adds them up by their
weights (Liu et al. 2019, Eq. 2). Contiguous NCHW, one module an operation, nothing shared. It
stands for the original design: tests compare values with it, benchmarks times.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Activation) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=False)


def depthwise(channels: int, size: int, stride: int, dilation: int) -> nn.Module:
    padding = (size + (size - 1) * (dilation - 1)) // 2
    return nn.Conv2d(
        channels, channels, size, stride, padding, dilation, groups=channels, bias=False
    )


def pointwise(channels_in: int, channels_out: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)


class Reduce(nn.Module):
    """Halve the resolution by two 1×1 convolutions of stride 2, one on the odd pixels.

    A side of odd length is first made even by a row of zeros at its end.
    """

    def __init__(self, channels_in: int, channels_out: int, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.even_pixels = pointwise(channels_in, channels_out // 2, 2)
        self.odd_pixels = pointwise(channels_in, channels_out // 2, 2)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(x)
        x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        return self.norm(torch.cat([self.even_pixels(x), self.odd_pixels(x[:, :, 1:, 1:])], 1))


class Zeros(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0


def operation(name: str, channels: int, stride: int, activation: Activation) -> nn.Module:
    def separable(size: int) -> nn.Module:
        return nn.Sequential(
            Apply(activation),
            depthwise(channels, size, stride, 1),
            pointwise(channels, channels),
            norm(channels),
            Apply(activation),
            depthwise(channels, size, 1, 1),
            pointwise(channels, channels),
            norm(channels),
        )

    def dilated(size: int) -> nn.Module:
        return nn.Sequential(
            Apply(activation),
            depthwise(channels, size, stride, 2),
            pointwise(channels, channels),
            norm(channels),
        )

    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Reduce(channels, channels, activation)
    return {
        "none": lambda: Zeros(stride),
        "max_pool_3x3": lambda: nn.Sequential(nn.MaxPool2d(3, stride, 1), norm(channels)),
        "avg_pool_3x3": lambda: nn.Sequential(
            nn.AvgPool2d(3, stride, 1, count_include_pad=False), norm(channels)
        ),
        "sep_conv_3x3": lambda: separable(3),
        "sep_conv_5x5": lambda: separable(5),
        "dil_conv_3x3": lambda: dilated(3),
        "dil_conv_5x5": lambda: dilated(5),
    }[name]()


class ReferenceCell(nn.Module):
    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[str],
        channels_in: tuple[int, int],
        channels: int,
        reduction: bool,
        reduction_before: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.links = list(edges)

        def one_by_one(channels_in: int) -> nn.Module:
            return nn.Sequential(
                Apply(activation), pointwise(channels_in, channels), norm(channels)
            )

        first = (
            Reduce(channels_in[0], channels, activation)
            if reduction_before
            else one_by_one(channels_in[0])
        )
        self.inputs = nn.ModuleList([first, one_by_one(channels_in[1])])
        self.edges = nn.ModuleList(
            nn.ModuleList(
                operation(name, channels, 2 if reduction and source < 2 else 1, activation)
                for name in operations
            )
            for source, _ in edges
        )

    def forward(self, first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
        states = [self.inputs[0](first), self.inputs[1](second)]
        while True:
            into = [e for e, (_, target) in enumerate(self.links) if target == len(states)]
            if not into:
                return torch.cat(states[2:], dim=1)
            mixed = []
            for e in into:
                x = states[self.links[e][0]]
                outputs = torch.stack([operation(x) for operation in self.edges[e]])
                mixed.append((weights[e].view(-1, 1, 1, 1, 1) * outputs).sum(dim=0))
            states.append(torch.stack(mixed).sum(dim=0))


class ReferenceSupernet(nn.Module):
    """`forward(images, weights)`, weights[kind] of shape (edges, operations)."""

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[str],
        *,
        channels: int = 16,
        cells: int = 8,
        classes: int = 10,
        in_channels: int = 3,
        activation: Activation = F.relu,
    ) -> None:
        super().__init__()
        nodes = len({target for _, target in edges})
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 3 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(3 * channels),
        )
        self.cells = nn.ModuleList()
        self.reducing: list[bool] = []
        widths = [3 * channels, 3 * channels]
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            reduction_before = bool(self.reducing) and self.reducing[-1]
            channels = channels * 2 if reduction else channels
            self.cells.append(
                ReferenceCell(
                    edges,
                    operations,
                    (widths[-2], widths[-1]),
                    channels,
                    reduction,
                    reduction_before,
                    activation,
                )
            )
            self.reducing.append(reduction)
            widths.append(nodes * channels)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        first = second = self.stem(images)
        for cell, reduction in zip(self.cells, self.reducing, strict=True):
            kind = "reduce" if reduction else "normal"
            first, second = second, cell(first, second, weights[kind])
        return self.classifier(F.adaptive_avg_pool2d(second, 1).flatten(1))


def paired_parameters(
    reference: ReferenceSupernet, supernet: nn.Module
) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Which parameter of a `darts` supernet plays the part of which here, each exactly once."""
    pairs: list[tuple[nn.Parameter, nn.Parameter]] = []

    def pair(mine: nn.Module, theirs: nn.Module) -> None:
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert a.shape == b.shape, (a.shape, b.shape)
            pairs.append((a, b))

    pair(reference.stem, supernet.stem)
    pair(reference.classifier, supernet.classifier)
    for mine, theirs in zip(reference.cells, supernet.cells, strict=True):
        pair(mine.inputs, theirs.preprocess)
        for operations, edge in zip(mine.edges, theirs.edges, strict=True):
            weighted = [op for op in operations if next(op.parameters(), None) is not None]
            assert len(weighted) == len(edge)
            for operation, other in zip(weighted, edge.values(), strict=True):
                pair(operation, other)
    assert len(pairs) == len(list(reference.parameters())) == len(list(supernet.parameters()))
    return pairs


@torch.no_grad()
def copy_weights(source: nn.Module, target: ReferenceSupernet) -> None:
    """Give the reference the weights of a `darts` supernet."""
    for mine, theirs in paired_parameters(target, source):
        mine.copy_(theirs)
