"""The networks that DARTS trains from scratch, plain, with the names of its state dict.

Written from the structure of `cnn/model.py` and `cnn/operations.py` of Liu et al. 2019; nothing is
taken from `darts/`. Its state dict has the names, and its forward the arithmetic, of theirs.
"""

import torch
from torch import Tensor, nn


def conv(a: int, b: int, size, stride=1, padding=0, dilation=1, groups=1) -> nn.Conv2d:
    return nn.Conv2d(a, b, size, stride, padding, dilation, groups, bias=False)


class ReLUConvBN(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), conv(a, b, 1), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class DilConv(nn.Module):
    def __init__(self, c: int, size: int, stride: int) -> None:
        super().__init__()
        depthwise = conv(c, c, size, stride, size - 1, 2, c)
        self.op = nn.Sequential(nn.ReLU(), depthwise, conv(c, c, 1), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class SepConv(nn.Module):
    def __init__(self, c: int, size: int, stride: int) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            conv(c, c, size, stride, size // 2, groups=c),
            conv(c, c, 1),
            nn.BatchNorm2d(c),
            nn.ReLU(),
            conv(c, c, size, 1, size // 2, groups=c),
            conv(c, c, 1),
            nn.BatchNorm2d(c),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class FactorizedReduce(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = conv(a, b // 2, 1, 2)
        self.conv_2 = conv(a, b // 2, 1, 2)
        self.bn = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


def operation(name: str, c: int, stride: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(c, c)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            conv(c, c, (1, 7), (1, stride), (0, 3)),
            conv(c, c, (7, 1), (stride, 1), (3, 0)),
            nn.BatchNorm2d(c),
        )
    kind = {"sep": SepConv, "dil": DilConv}[name[:3]]
    return kind(c, int(name[-1]), stride)


class Cell(nn.Module):
    def __init__(self, edges, concat, pp: int, p: int, c: int, reduction: bool, before: bool):
        super().__init__()
        self.preprocess0 = FactorizedReduce(pp, c) if before else ReLUConvBN(pp, c)
        self.preprocess1 = ReLUConvBN(p, c)
        self._ops = nn.ModuleList(
            operation(name, c, 2 if reduction and index < 2 else 1) for name, index in edges
        )
        self.indices = [index for _, index in edges]
        self.concat = list(concat)

    def forward(self, s0: Tensor, s1: Tensor, drop_path: float) -> Tensor:
        states = [self.preprocess0(s0), self.preprocess1(s1)]

        def edge(number: int) -> Tensor:
            output = self._ops[number](states[self.indices[number]])
            identity = isinstance(self._ops[number], nn.Identity)
            if not self.training or drop_path == 0 or identity:
                return output
            keep = 1 - drop_path
            mask = torch.full((len(output), 1, 1, 1), keep, device=output.device).bernoulli()
            return output / keep * mask

        for node in range(len(self.indices) // 2):
            states.append(edge(2 * node) + edge(2 * node + 1))
        return torch.cat([states[state] for state in self.concat], dim=1)


class AuxiliaryHead(nn.Module):
    def __init__(self, c: int, classes: int, stride: int, last: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.AvgPool2d(5, stride, 0, count_include_pad=False),
            conv(c, 128, 1),
            nn.BatchNorm2d(128),
            nn.ReLU(inplace=True),
            conv(128, 768, 2),
            *last,
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x.view(x.size(0), -1))


class Network(nn.Module):
    """What NetworkCIFAR and NetworkImageNet have in common; `genotype` is four lists."""

    def __init__(self, c: int, classes: int, layers: int, auxiliary: bool, genotype) -> None:
        super().__init__()
        normal, normal_concat, reduce, reduce_concat = genotype
        pp, p, before = self.make_stem(c)
        self.layers = layers
        self.cells = nn.ModuleList()
        for i in range(layers):
            reduction = i in [layers // 3, 2 * layers // 3]
            c = 2 * c if reduction else c
            edges, concat = (reduce, reduce_concat) if reduction else (normal, normal_concat)
            self.cells.append(Cell(edges, concat, pp, p, c, reduction, before))
            before = reduction
            pp, p = p, len(concat) * c
            if i == 2 * layers // 3 and auxiliary:
                self.auxiliary_head = self.make_head(p, classes)
        self.classifier = nn.Linear(p, classes)

    def forward(self, x: Tensor, drop_path: float = 0.0):
        s0, s1 = self.stems(x)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, drop_path)
            if i == 2 * self.layers // 3 and self.training and hasattr(self, "auxiliary_head"):
                auxiliary = self.auxiliary_head(s1)
        logits = self.classifier(self.pool(s1).view(x.size(0), -1))
        return logits, auxiliary


class NetworkCIFAR(Network):
    def make_stem(self, c: int):
        self.stem = nn.Sequential(conv(3, 3 * c, 3, 1, 1), nn.BatchNorm2d(3 * c))
        self.pool = nn.AdaptiveAvgPool2d(1)
        return 3 * c, 3 * c, False

    def make_head(self, c: int, classes: int) -> nn.Module:
        return AuxiliaryHead(c, classes, 3, [nn.BatchNorm2d(768)])

    def stems(self, x: Tensor):
        s = self.stem(x)
        return s, s


class NetworkImageNet(Network):
    def make_stem(self, c: int):
        self.stem0 = nn.Sequential(
            conv(3, c // 2, 3, 2, 1),
            nn.BatchNorm2d(c // 2),
            nn.ReLU(inplace=True),
            conv(c // 2, c, 3, 2, 1),
            nn.BatchNorm2d(c),
        )
        self.stem1 = nn.Sequential(nn.ReLU(inplace=True), conv(c, c, 3, 2, 1), nn.BatchNorm2d(c))
        self.pool = nn.AvgPool2d(7)
        return c, c, True

    def make_head(self, c: int, classes: int) -> nn.Module:
        return AuxiliaryHead(c, classes, 2, [])

    def stems(self, x: Tensor):
        s0 = self.stem0(x)
        return s0, self.stem1(s0)
