"""The bilevel problem: minimise L_val(ω*(α), α), where ω*(α) minimises L_train(·, α) (Eq. 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.bound_module import opened, taken_for_parameters
from bilevel.connection import DisconnectedError, names_of, refuse_closed_over
from bilevel.evaluation import evaluated
from bilevel.losses import Loss as Loss
from bilevel.losses import like, on_batch, refuse_other_arguments, refuse_without_batch, takes_batch
from bilevel.randomness import seeded
from bilevel.reading import finite, read
from bilevel.scope import look
from bilevel.unsupported import WRONG_TWICE, Explaining, UnsupportedDerivativeError, refuse_wrong
from bilevel.vector import Tree, Vector


class NonFiniteError(ValueError):
    """A loss or a gradient is NaN or infinite."""


def finite_curvature(number: float) -> float:
    """A number from a product with H, refused where it is NaN or infinite."""
    if not math.isfinite(number):
        raise NonFiniteError(
            f"a Hessian product gave curvature {number}. A square root, norm or logarithm in the "
            "inner loss has no finite second derivative at this point."
        )
    return number


def squared_curvature(number: float) -> float:
    """The square of a curvature, refused where it leaves the range of floating numbers."""
    square = finite_curvature(number) * number
    if not 0 < square < math.inf and number != 0:
        raise NonFiniteError(
            f"the inner loss has curvature {number:.3g}, whose square no float can hold. Multiply "
            "the inner loss by a number that brings its curvature near 1: g₂ stays as it is."
        )
    return square


@dataclass(frozen=True)
class BilevelProblem:
    """Two losses of (ω, α). Equal input must give equal bits.

    Data are closed over, or come as a third argument: with losses of (ω, α, batch) a problem is
    written once and put on a batch by `on`, which gives the problem that estimators take.

    Attributes:
        inner: L_train. Weight decay belongs here: SGD with weight decay λ minimises
            L_train + ½λ‖ω‖², so H includes λI.
        outer: L_val.

    Raises:
        TypeError: a loss can be called neither with (ω, α) nor with (ω, α, batch).
    """

    inner: Loss
    outer: Loss

    def __post_init__(self) -> None:
        refuse_other_arguments("inner", self.inner)
        refuse_other_arguments("outer", self.outer)

    def on(self, train_batch: Any, val_batch: Any) -> BilevelProblem:
        """The problem on two batches: L_train gets the first, L_val the second.

        Args:
            train_batch: anything that L_train reads, such as a pair of tensors. It is neither
                copied nor moved, and must stay as it is while it is used: an iterator does not.
            val_batch: the same for L_val.

        Raises:
            TypeError: a loss takes no batch, or has one already; or a batch is an iterator.
        """
        return BilevelProblem(
            on_batch("inner", self.inner, train_batch), on_batch("outer", self.outer, val_batch)
        )

    @staticmethod
    def from_module(
        module: nn.Module,
        inner: Loss,
        outer: Loss,
        *,
        hyperparams: Tree,
    ) -> tuple[BilevelProblem, dict[str, Tensor], Tree]:
        """The problem whose ω is the parameters of `module`, and whose α may be those of another.

        The losses get a `BoundModule` in place of ω: call it, its parts or its methods like the
        module's own; its `params` are ω, for a penalty. Buffers are replaced by copies in every
        evaluation, so batch-norm statistics are read and never written. A module in `hyperparams`
        is treated alike: the losses get `alpha(x)` in place of α. Estimates in several threads
        need a module each, such as a deep copy.

        Args:
            module: its trainable parameters become ω; frozen ones stay as they are. Of a
                `DistributedDataParallel` the module inside is taken: its averaging does not act
                here, `distributed.averaged` does the same.
            inner: L_train(net, α), or L_train(net, α, batch) for `on`.
            outer: L_val(net, α), or L_val(net, α, batch).
            hyperparams: α: tensors, a module, or a tree with modules in it, such as
                `{"weigher": weigher, "log_decay": tensor}`.

        Returns:
            The problem, ω and α. Both have the parameters of modules by name, and hold the
            modules' own tensors, not copies; whatever else is in `hyperparams` is as passed.

        Raises:
            ValueError: a module has no trainable parameters, or some of them lie in a plain list,
                where it does not know of them; or a tensor of α is in ω too, or twice in α.
            TypeError: a loss takes other arguments than these.
        """
        refuse_other_arguments("inner", inner, first="net")
        refuse_other_arguments("outer", outer, first="net")
        params, bind_omega = opened("ω", module)
        alpha, bind_alpha = opened("α", hyperparams)
        _refuse_shared(params, Vector.of(alpha))

        def unbound(loss: Loss) -> Loss:
            @like(loss)
            def evaluate(omega: Tree, alpha: Tree, *others: Any) -> Tensor:
                bound = bind_omega(omega), bind_alpha(alpha)
                with taken_for_parameters(*bound):
                    return loss(*bound, *others)

            return evaluate

        return BilevelProblem(unbound(inner), unbound(outer)), params, alpha

    def replaying(self, seed: int) -> BilevelProblem:
        """The same problem with every evaluation under the random state of `seed`.

        Dropout and drop-path draw the same masks each time; the global state is left as it was.
        The generators are PyTorch's, NumPy's and Python's; a loss's own are not reached.
        """

        def replayed(loss: Loss) -> Loss:
            @like(loss)
            def evaluate(omega: Tree, *others: Any) -> Tensor:
                with seeded(seed, Vector.of(omega).device):
                    return loss(omega, *others)

            return evaluate

        return BilevelProblem(replayed(self.inner), replayed(self.outer))

    def inner_value(self, omega: Vector, alpha: Vector) -> Float[Tensor, ""]:
        """L_train, checked to be one finite number."""
        self.refuse_missing_batch()
        return _checked("inner", evaluated(self.inner, omega, alpha), ω=omega, α=alpha)

    def outer_value(self, omega: Vector, alpha: Vector) -> Float[Tensor, ""]:
        """L_val, checked to be one finite number."""
        self.refuse_missing_batch()
        return _checked("outer", evaluated(self.outer, omega, alpha), ω=omega, α=alpha)

    def refuse_missing_batch(self) -> None:
        """Raise if a loss takes a batch and has none.

        Raises:
            TypeError: a loss needs a batch; the message has the remedy.
        """
        if self._lacks_batch:
            refuse_without_batch("inner", self.inner)
            refuse_without_batch("outer", self.outer)

    @cached_property
    def _lacks_batch(self) -> bool:
        """Looking at the arguments of a loss takes longer than some losses do."""
        return takes_batch(self.inner) or takes_batch(self.outer)

    @torch.enable_grad()
    def inner_gradient(self, omega: Vector, alpha: Vector) -> tuple[float, Vector]:
        """L_train and ∇_ω L_train. One gradient evaluation.

        Raises:
            DisconnectedError: a leaf of ω has no influence on L_train, so that H is singular.
        """
        point = omega.tracked()
        value = self.inner_value(point, alpha.detach())
        return read(value), gradient_in_omega(value, point)

    @torch.enable_grad()
    def inner_gradient_alpha(self, omega: Vector, alpha: Vector) -> Vector:
        """∇_α L_train. One gradient evaluation; zero for leaves that L_train does not use."""
        point = alpha.tracked()
        return _gradients("inner", self.inner_value(omega.detach(), point), α=point)[0]

    def outer_gradients(self, omega: Vector, alpha: Vector) -> tuple[float, Vector, Vector]:
        """L_val, ∇_ω L_val and ∇_α L_val (g₁). One gradient evaluation."""
        return _both_gradients("outer", self.outer_value, omega, alpha)

    def inner_gradients(self, omega: Vector, alpha: Vector) -> tuple[float, Vector, Vector]:
        """L_train, ∇_ω L_train and ∇_α L_train, zero where unused. One gradient evaluation."""
        return _both_gradients(None, self.inner_value, omega, alpha)

    def outer_gradients_as_they_are(
        self, omega: Vector, alpha: Vector
    ) -> tuple[float, Vector, Vector]:
        """`outer_gradients` for a check: zero also for a leaf taken from a closure."""
        return _both_gradients(None, self.outer_value, omega, alpha)

    @torch.enable_grad()
    def outer_gradient_alpha(self, omega: Vector, alpha: Vector) -> tuple[float, Vector]:
        """L_val and ∇_α L_val alone, which is cheaper than both of its gradients."""
        point = alpha.tracked()
        value = self.outer_value(omega.detach(), point)
        return read(value), _gradients("outer", value, α=point)[0]

    @torch.enable_grad()
    def outer_uses_omega(self, omega: Vector, alpha: Vector) -> bool:
        """Whether L_val depends on any leaf of ω. One evaluation of it."""
        at = omega.tracked()
        value = self.outer_value(at, alpha.detach())
        return any(leaf is not None for leaf in _gradients_or_none(value, at.leaves))

    @torch.enable_grad()
    def refuse_unused(self, omega: Vector, alpha: Vector, places: Sequence[int]) -> None:
        """Raise if neither loss uses some of the leaves of α that `places` names.

        One gradient of L_train with respect to α, and one of L_val if that finds any.

        Raises:
            DisconnectedError: with their names.
        """
        point = alpha.tracked()
        for which, loss in (("inner", self.inner_value), ("outer", self.outer_value)):
            value = loss(omega.detach(), point)
            found = _gradients_or_none(value, point.leaves)
            places = [place for place in places if found[place] is None]
            if not places:
                return
            refuse_closed_over(which, value, α=(point, places))
        raise DisconnectedError(
            f"neither loss uses {len(places)} of {len(point.leaves)} leaves of α "
            f"({names_of(point, places)}), so that the hypergradient there would be 0 whatever "
            "they are. A loss must compute with the α that is passed to it, its second argument; "
            "a tensor from the enclosing scope is not differentiated. Leave out of α what no loss "
            "depends on."
        )


def _refuse_shared(params: dict[str, Tensor], alpha: Vector) -> None:
    """Raise if a tensor of α is a parameter of the module, or is in α under two names."""
    own = {id(p): name for name, p in params.items()}
    seen: dict[int, str] = {}
    for name, leaf in zip(alpha.names(), alpha.leaves, strict=True):
        if id(leaf) in own:
            raise ValueError(
                f"hyperparameter {name} is the module's own parameter {own[id(leaf)]!r}: it "
                "would be trained with the weights. Keep α outside the module, or freeze it with "
                "requires_grad_(False)."
            )
        if id(leaf) in seen:
            raise ValueError(
                f"hyperparameters {seen[id(leaf)]} and {name} are one tensor, and would be learned "
                "as two. Keep it in α once; put modules that share it into one nn.ModuleDict."
            )
        seen[id(leaf)] = name


def gradient_in_omega(value: Tensor, omega: Vector, *, create_graph: bool = False) -> Vector:
    """∇_ω of the inner loss, refusing leaves of ω on which it does not depend."""
    if not value.requires_grad:
        raise DisconnectedError(
            "the inner loss does not depend on ω at all. Compute it from the ω that is passed in, "
            "without detach() or no_grad()."
        )
    if create_graph:
        refuse_wrong("Double backward", [value], WRONG_TWICE)
    with Explaining():
        leaves = torch.autograd.grad(
            value, omega.leaves, create_graph=create_graph, allow_unused=True
        )
    unused = [
        place
        for place, leaf in enumerate(leaves)
        if leaf is None and omega.leaves[place].numel() > 0
    ]
    if unused:
        refuse_closed_over("inner", value, ω=(omega, unused))
        raise DisconnectedError(
            f"the inner loss ignores {len(unused)} of {len(leaves)} leaves of ω "
            f"({names_of(omega, unused)}), so its Hessian is singular there. Leave them out of ω, "
            "or add weight decay to the inner loss."
        )
    leaves = tuple(
        torch.zeros_like(at) if leaf is None else leaf  # an empty one
        for leaf, at in zip(leaves, omega.leaves, strict=True)
    )
    _refuse_sparse(leaves, omega.names())
    return Vector(leaves, omega.treespec)


def _refuse_sparse(leaves: tuple[Tensor | None, ...], names: list[str]) -> None:
    for leaf, name in zip(leaves, names, strict=True):
        if leaf is not None and leaf.layout != torch.strided:
            raise UnsupportedDerivativeError(
                f"the gradient in leaf {name} is sparse, as that of an embedding with sparse=True; "
                "PyTorch cannot differentiate it again. Build the embedding with sparse=False."
            )


def _checked(which: str, value: Any, **points: Vector) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"the {which} loss returned a {type(value).__name__}, not a tensor. Let it return one "
            "tensor of one number that was computed from its arguments: without .item(), float() "
            "or .numpy(), and with nothing beside it."
        )
    if value.dim() != 0:
        raise ValueError(
            f"the {which} loss must be a scalar; it has shape {tuple(value.shape)}. "
            "Take its mean or sum."
        )
    if value.is_complex():
        raise TypeError(
            f"the {which} loss is complex ({value.dtype}); a loss is a real number. Take the "
            "square of absolute values, such as z.abs().square().mean(), or the real part."
        )
    number = read(value)
    if not finite(number):
        raise NonFiniteError(
            f"the {which} loss is {number}. The point has left the region where the loss is "
            "defined: lower the learning rate, clip gradients, or check the batch."
        )
    look(which, value, **points)
    return value


@torch.enable_grad()
def _both_gradients(
    which: str | None,
    loss: Callable[[Vector, Vector], Tensor],
    omega: Vector,
    alpha: Vector,
) -> tuple[float, Vector, Vector]:
    at, hyper = omega.tracked(), alpha.tracked()
    value = loss(at, hyper)
    in_omega, in_alpha = _gradients(which, value, ω=at, α=hyper)
    return read(value), in_omega, in_alpha


def _gradients(which: str | None, value: Tensor, **points: Vector) -> list[Vector]:
    """The gradients of a loss with respect to several points; zero in leaves it does not use.

    Args:
        which: what to call the loss where it is refused; None: nothing is.

    Raises:
        DisconnectedError: it does not use a leaf that it was passed, yet the very tensor that the
            caller passed for it, through its closure.
    """
    leaves = tuple(leaf for point in points.values() for leaf in point.leaves)
    found = _gradients_or_none(value, leaves)
    _refuse_sparse(found, [name for point in points.values() for name in point.names()])
    images, unused = [], {}
    for symbol, point in points.items():
        own, found = found[: len(point.leaves)], found[len(point.leaves) :]
        unused[symbol] = point, [place for place, leaf in enumerate(own) if leaf is None]
        images.append(
            Vector(
                tuple(
                    torch.zeros_like(at) if leaf is None else leaf
                    for leaf, at in zip(own, point.leaves, strict=True)
                ),
                point.treespec,
            )
        )
    if which is not None:
        refuse_closed_over(which, value, **unused)
    return images


def _gradients_or_none(value: Tensor, leaves: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    """The gradients of a loss; None in leaves that it does not use."""
    if not value.requires_grad:
        return (None,) * len(leaves)
    with Explaining():
        return torch.autograd.grad(value, leaves, allow_unused=True)
