"""How far float32 derivatives are from the plain reference's, and how much of it is kinks.

`python -m benchmarks.agreement [--seeds 5] [--out docs/records/supernet_agreement.json]`

ReLU and max pooling decide at every value, by a sign or a comparison. Where two ways to round
decide differently the gradient jumps, however small the rounding. So every float32 result is
compared twice with the reference in float64: as it is, and with the reference made to take the
decisions that the float32 run took. What is left the second time is rounding alone.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.decisions import Decisions, count, differing, imposed, of_kernels, of_reference
from benchmarks.records import merge, spread
from benchmarks.steps import Setting
from bilevel import Autograd, BilevelProblem, Vector
from bilevel.derivatives import Derivatives, ReverseOverForward
from darts.networks import Architecture, Supernet
from darts.networks.adapter import SupernetAdapter
from tests.reference_supernet import ReferenceSupernet, copy_weights, paired_parameters

RECORD = Path("docs/records/supernet_agreement.json")
SMALL = Setting(4, channels=4, cells=3, side=8)
SETTINGS = {
    "S1, 4 channels, 3 cells, 8×8, batch 4": (SMALL, True),
    "S1, 16 channels, 8 cells, 16×16, batch 4": (Setting(4, side=16), True),
    "S1, 16 channels, 8 cells, 32×32, batch 16": (Setting(16), False),
}
"""With second-order products where the reference's graph in float64 fits into memory."""

Found = dict[str, Tensor]
"""∇ω and ∇α of the loss, or Hv and Bv, flat and in float64."""


class Pair:
    """A supernet of the project and the reference with the same weights, α, batch and v."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.data = setting.data(seed)
        torch.manual_seed(seed)
        self.supernet = Supernet(setting.space, channels=setting.channels, cells=setting.cells)
        plain = setting.plain()
        assert isinstance(plain, ReferenceSupernet)
        self.reference = plain
        copy_weights(self.supernet, plain)
        theirs = {id(p): name for name, p in plain.named_parameters()}
        own = {id(p): name for name, p in self.supernet.named_parameters()}
        pairs = paired_parameters(plain, self.supernet)
        self.names = {theirs[id(a)]: own[id(b)] for a, b in pairs}
        self.v = {name: torch.randn_like(p) for name, p in self.supernet.named_parameters()}
        self.architecture = Architecture(setting.space)
        self.alpha = self.architecture.initial(seed)

    def ours(self, dtype: torch.dtype, products: bool) -> Found:
        adapter = SupernetAdapter(self.supernet.to(dtype), self.architecture, weight_decay=0.0)
        data = self.data[0].to(dtype), self.data[1]
        problem = adapter.problem(data, data, seed=0)
        same = {name: name for name in self.v}
        found = self._found(problem, adapter.omega, same, ReverseOverForward(), products)
        self.supernet.float()
        return found

    def plain(self, dtype: torch.dtype, products: bool, *, channels_last: bool = False) -> Found:
        """The reference's, in the order of the supernet's names."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = self.reference.to(dtype).to(memory_format=layout)
        images = self.data[0].to(dtype).contiguous(memory_format=layout)

        def loss(net: Any, alpha: Any) -> Tensor:
            return F.cross_entropy(
                net(images, self.architecture.mixing_weights(alpha)), self.data[1]
            )

        alpha = {kind: tensor.to(dtype) for kind, tensor in self.alpha.items()}
        problem, omega, _ = BilevelProblem.from_module(module, loss, loss, hyperparams=alpha)
        found = self._found(problem, omega, self.names, Autograd(), products)
        self.reference.float().to(memory_format=torch.contiguous_format)
        return found

    def _found(
        self,
        problem: BilevelProblem,
        omega: dict[str, Tensor],
        names: dict[str, str],
        how: Derivatives,
        products: bool,
    ) -> Found:
        def flat(vector: Vector) -> Tensor:
            tree: Any = vector.tree()
            ordered = sorted(tree, key=lambda name: names[name])
            return torch.cat([tree[name].flatten() for name in ordered]).double()

        at = Vector.of(omega).detach()
        hyper = Vector.of({kind: tensor.to(at.dtype) for kind, tensor in self.alpha.items()})
        if not products:
            _, in_omega, in_alpha = problem.outer_gradients(at, hyper)
            return {"∇ω": flat(in_omega), "∇α": in_alpha.flat().double()}
        v = Vector.of({name: self.v[names[name]].to(at.dtype) for name in omega})
        curvature = how(problem, at, hyper)
        return {"Hv": flat(curvature.hessian @ v), "Bv": (curvature.mixed @ v).flat().double()}


def errors(found: Found, truth: Found) -> dict[str, float]:
    """‖found − truth‖ / ‖truth‖ of each."""
    return {k: float((found[k] - x).norm() / x.norm()) for k, x in truth.items()}


def compared(pair: Pair, products: bool) -> dict[str, Any]:
    """Errors of the float32 derivatives of one pair, and how many decisions rounding changed."""
    single, double = torch.float32, torch.float64

    def truth(decisions: Decisions | None = None) -> Found:
        taking = nullcontext() if decisions is None else imposed(pair.reference, decisions)
        with taking:
            return pair.plain(double, products)

    with of_reference(pair.reference) as right:
        exact = truth()
    with of_reference(pair.reference) as theirs:
        reference = pair.plain(single, products)
    with of_kernels(pair.supernet, pair.reference) as own:
        ours = pair.ours(single, products)
    return {
        "errors": {
            "ours against the reference": errors(ours, reference),
            "reference in another layout against itself": errors(
                pair.plain(single, products, channels_last=True), reference
            ),
            "ours against float64": errors(ours, exact),
            "reference against float64": errors(reference, exact),
            "ours against float64, its decisions": errors(ours, truth(own)),
            "reference against float64, its decisions": errors(reference, truth(theirs)),
        },
        "decisions": count(right),
        "changed": {"ours": differing(own, right), "reference": differing(theirs, right)},
    }


def over_seeds(setting: Setting, seeds: int, products: bool) -> dict[str, Any]:
    """Spreads of the errors over pairs of different weights, α and batches."""
    runs = [compared(Pair(setting, seed), products) for seed in range(seeds)]
    spreads = {
        what: {k: spread([run["errors"][what][k] for run in runs]) for k in row}
        for what, row in runs[0]["errors"].items()
    }
    changed = {who: spread([run["changed"][who] for run in runs]) for who in runs[0]["changed"]}
    return {"n": seeds, "errors": spreads, "decisions": runs[0]["decisions"], "changed": changed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RECORD)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, (setting, with_products) in SETTINGS.items():
        part = {"gradients": over_seeds(setting, options.seeds, products=False)}
        if with_products:
            part["products"] = over_seeds(setting, options.seeds, products=True)
        merge(options.out, {name: part})
        for order, found in part.items():
            print(f"\n{name}, {order}; decisions changed: {found['changed']}")
            for what, row in found["errors"].items():
                numbers = "  ".join(
                    f"{k} {x['median']:.1e} ({x['high']:.1e})" for k, x in row.items()
                )
                print(f"{what:<45}{numbers}")


if __name__ == "__main__":
    main()
