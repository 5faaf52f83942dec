"""The supernets of DARTS and NAS-Bench-201, plain and slow, written from the papers.

Nothing is taken from `darts/`.

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


class Noise(nn.Module):
    """Standard normal numbers in place of the input (Zela et al. 2020)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return torch.randn(x.shape, dtype=x.dtype)


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
        "noise": lambda: Noise(stride),
    }[name]()


class ReferenceCell(nn.Module):
    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[Sequence[str]],
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
                for name in names
            )
            for names, (source, _) in zip(operations, edges, strict=True)
        )

    def forward(self, first: Tensor, second: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """`weights[edge]` has one entry for each operation of that edge."""
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
    """`forward(images, weights)`, weights[kind][edge] of one entry an operation.

    Args:
        edges: (source, target) of each edge.
        operations: of every edge, or by kind of cell those of each edge.
        kinds: the kind of each cell; None is "reduce" at 1/3 and 2/3 and else "normal".
    """

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[str] | Mapping[str, Sequence[Sequence[str]]],
        *,
        kinds: Sequence[str] | None = None,
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
        self.kinds: list[str] = []
        widths = [3 * channels, 3 * channels]
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            reduction_before = bool(self.reducing) and self.reducing[-1]
            channels = channels * 2 if reduction else channels
            self.kinds.append(kinds[i] if kinds else "reduce" if reduction else "normal")
            on_edges = (
                operations[self.kinds[-1]]
                if isinstance(operations, Mapping)
                else [operations] * len(edges)
            )
            self.cells.append(
                ReferenceCell(
                    edges,
                    on_edges,
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

    def forward(self, images: Tensor, weights: Mapping[str, Sequence[Tensor]]) -> Tensor:
        first = second = self.stem(images)
        for cell, kind in zip(self.cells, self.kinds, strict=True):
            first, second = second, cell(first, second, weights[kind])
        return self.classifier(F.adaptive_avg_pool2d(second, 1).flatten(1))


class BenchCell(nn.Module):
    """A cell of NAS-Bench-201: four states, all earlier ones feed each; the last is the output."""

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()

        def convolution(size: int) -> nn.Module:
            return nn.Sequential(
                Apply(activation),
                nn.Conv2d(channels, channels, size, padding=size // 2, bias=False),
                norm(channels),
            )

        self.edges = nn.ModuleList(
            nn.ModuleList(
                [
                    Zeros(1),
                    nn.Identity(),
                    convolution(1),
                    convolution(3),
                    nn.AvgPool2d(3, 1, 1, count_include_pad=False),
                ]
            )
            for _ in range(6)
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """`weights` of shape (6, 5), the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3."""

        def edge(e: int, state: Tensor) -> Tensor:
            return sum(w * op(state) for w, op in zip(weights[e], self.edges[e], strict=True))

        one = edge(0, x)
        two = edge(1, x) + edge(2, one)
        return edge(3, x) + edge(4, one) + edge(5, two)


class BenchBlock(nn.Module):
    """The residual block of stride 2 between two stages of NAS-Bench-201."""

    def __init__(self, channels_in: int, channels: int, activation: Activation) -> None:
        super().__init__()
        self.main = nn.Sequential(
            Apply(activation),
            nn.Conv2d(channels_in, channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            Apply(activation),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(channels_in, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class BenchSupernet(nn.Module):
    """NAS-Bench-201's skeleton: three stages of `each` cells (Dong & Yang 2020, Figure 1)."""

    def __init__(
        self,
        *,
        channels: int = 16,
        each: int = 5,
        classes: int = 10,
        activation: Activation = F.relu,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.cells = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.blocks.append(BenchBlock(channels, 2 * channels, activation))
                channels *= 2
            self.cells.extend(BenchCell(channels, activation) for _ in range(each))
        self.each = each
        self.last = nn.Sequential(nn.BatchNorm2d(channels), Apply(activation))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        x = self.stem(images)
        for i, cell in enumerate(self.cells):
            if i and i % self.each == 0:
                x = self.blocks[i // self.each - 1](x)
            x = cell(x, weights["cell"])
        return self.classifier(F.adaptive_avg_pool2d(self.last(x), 1).flatten(1))


def paired_parameters(
    reference: ReferenceSupernet | BenchSupernet, supernet: nn.Module
) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Which parameter of a `darts` supernet plays the part of which here, each exactly once."""
    pairs: list[tuple[nn.Parameter, nn.Parameter]] = []

    def pair(mine: nn.Module, theirs: nn.Module) -> None:
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert a.shape == b.shape, (a.shape, b.shape)
            pairs.append((a, b))

    pair(reference.stem, supernet.stem)
    pair(reference.classifier, supernet.classifier)
    if isinstance(reference, BenchSupernet):
        pair(reference.last, supernet.norm_last)
        for mine, theirs in zip(reference.blocks, supernet.blocks.values(), strict=True):
            pair(mine, theirs)
    for mine, theirs in zip(reference.cells, supernet.cells, strict=True):
        if isinstance(mine, ReferenceCell):
            pair(mine.inputs, theirs.preprocess)
        for operations, edge in zip(mine.edges, theirs.edges, strict=True):
            weighted = [op for op in operations if next(op.parameters(), None) is not None]
            others = [op for op in edge.values() if next(op.parameters(), None) is not None]
            assert len(weighted) == len(others)
            for operation, other in zip(weighted, others, strict=True):
                pair(operation, other)
    assert len(pairs) == len(list(reference.parameters())) == len(list(supernet.parameters()))
    return pairs


@torch.no_grad()
def copy_weights(source: nn.Module, target: ReferenceSupernet | BenchSupernet) -> None:
    """Give the reference the weights of a `darts` supernet."""
    for mine, theirs in paired_parameters(target, source):
        mine.copy_(theirs)
