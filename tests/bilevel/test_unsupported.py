"""What PyTorch gets wrong in second order, or has not, is refused in one sentence with a remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from bilevel import Autograd, BilevelProblem, CentralDifference, Vector, check, relative_error
from bilevel.derivatives import Derivatives, ReverseOverForward
from bilevel.estimators import Amended, Exact, FirstOrder
from bilevel.estimators.alerts import RandomLoss
from bilevel.unsupported import UnsupportedDerivativeError

Function = Callable[[Tensor], Tensor]
DATA = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
WEIGHTS = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def problem(function: Function) -> BilevelProblem:
    """L_train(w, a) = a · Σ sin f(w): as curved as f, and more."""
    return BilevelProblem(lambda w, a: a * function(w).sin().sum(), lambda w, a: w.sum())


def product(how: Derivatives, function: Function, point: Tensor = WEIGHTS) -> Vector:
    omega, alpha = Vector.of(point), Vector.of(torch.tensor(0.7, dtype=point.dtype))
    return how(problem(function), omega, alpha).hessian @ Vector.of(point.cos())


def definite(w: Tensor) -> Tensor:
    return w @ w.T + 4 * torch.eye(4, dtype=w.dtype)


def gradient_penalty(norm: Function) -> Function:
    """The gradient in the data of a small network with this norm: what WGAN-GP and PINNs use."""

    def penalty(w: Tensor) -> Tensor:
        x = DATA.clone().requires_grad_()
        (slope,) = torch.autograd.grad(norm(torch.tanh(x @ w)).sin().sum(), x, create_graph=True)
        return slope.square().sum(1)

    return penalty


def spelled_out(x: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()


WRONG_OVER_FORWARD: dict[str, tuple[Function, str]] = {
    "batch norm": (lambda w: F.batch_norm(DATA @ w, None, None, training=True), "batch_norm"),
    "instance norm": (lambda w: F.instance_norm((DATA @ w)[None]), "instance_norm"),
    "layer norm": (lambda w: F.layer_norm(DATA @ w, (4,)), "layer_norm"),
    "det": (lambda w: torch.linalg.det(definite(w)).log(), "met det"),
    "slogdet": (lambda w: torch.linalg.slogdet(definite(w))[1], "slogdet"),
    "logdet": (lambda w: torch.logdet(definite(w)), "logdet"),
    "solve": (lambda w: torch.linalg.solve(definite(w), DATA.T), "linalg.solve"),
    "tensorsolve": (
        lambda w: torch.linalg.tensorsolve(definite(w).reshape(2, 2, 4), DATA[0].reshape(2, 2)),
        "linalg.solve",
    ),
    "householder": (
        lambda w: torch.linalg.householder_product(w, w[0]),
        "householder_product",
    ),
    "cholesky inverse": (
        lambda w: torch.cholesky_inverse(torch.linalg.cholesky(definite(w))),
        "cholesky_inverse",
    ),
    "products by scatter": (
        lambda w: torch.ones(2, 4, dtype=w.dtype).scatter_reduce(
            0, torch.tensor([[0] * 4, [0] * 4, [1] * 4, [1] * 4]), w, "prod"
        ),
        "scatter_reduce",
    ),
}


@pytest.mark.parametrize("name", WRONG_OVER_FORWARD)
def test_what_forward_mode_gets_wrong_is_refused_and_right_by_autograd(name: str) -> None:
    function, operation = WRONG_OVER_FORWARD[name]
    with pytest.raises(UnsupportedDerivativeError, match=rf"{operation}.*Autograd\(\)"):
        product(ReverseOverForward(), function)
    # Richardson's error of differences is O(step²) = 4e-11 by default: some 1e-8 with the constants
    exact, differences = product(Autograd(), function), product(CentralDifference(), function)
    assert relative_error(exact, differences) < 1e-6


@pytest.mark.parametrize("name", WRONG_OVER_FORWARD)
def test_each_refusal_over_forward_mode_has_a_reason(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it the product is wrong by more than any rounding; a mended torch fails this."""
    monkeypatch.setattr("bilevel.derivatives.reverse_over_forward.refuse_wrong", lambda *_: None)
    function, _ = WRONG_OVER_FORWARD[name]
    found, exact = product(ReverseOverForward(), function), product(Autograd(), function)
    assert relative_error(found, exact) > 1e-4


@pytest.mark.parametrize(
    "function",
    [
        lambda w: F.batch_norm(DATA @ w, torch.zeros(4).double(), torch.ones(4).double()),
        lambda w: F.group_norm(DATA @ w, 1),
        lambda w: torch.linalg.inv(definite(w)),
        lambda w: torch.linalg.cholesky(definite(w)),
        lambda w: torch.ones(1, 4, dtype=w.dtype).scatter_reduce(
            0, torch.zeros(4, 4, dtype=torch.long), w, "sum"
        ),
        spelled_out,
    ],
    ids=["batch norm by running statistics", "group norm", "inv", "cholesky", "scatter", "own"],
)
def test_their_sound_relatives_pass_in_forward_mode(function: Function) -> None:
    found, exact = product(ReverseOverForward(), function), product(Autograd(), function)
    assert relative_error(found, exact) < 1e-12


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * x.cos()


WRONG_TWICE: dict[str, tuple[Function, str]] = {
    "weight norm": (
        lambda w: DATA @ torch._weight_norm(w, w[:, :1].exp(), 0).T,
        r"weight_norm.*v\.norm",
    ),
    "layer norm in a gradient penalty": (
        gradient_penalty(lambda y: F.layer_norm(y, (4,))),
        r"layer_norm inside a gradient.*means and squares",
    ),
    "marked once_differentiable": (lambda w: Once.apply(DATA @ w), "Once is marked"),
}


@pytest.mark.parametrize("name", WRONG_TWICE)
def test_what_double_backward_gets_wrong_is_refused(name: str) -> None:
    function, sentence = WRONG_TWICE[name]
    with pytest.raises(UnsupportedDerivativeError, match=rf"{sentence}.*CentralDifference\(\)"):
        product(Autograd(), function)
    with pytest.raises(UnsupportedDerivativeError):
        product(ReverseOverForward(), function)


@pytest.mark.parametrize("name", WRONG_TWICE)
def test_each_refusal_of_double_backward_has_a_reason(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bilevel.problem.refuse_wrong", lambda *_: None)
    function, _ = WRONG_TWICE[name]
    found, differences = product(Autograd(), function), product(CentralDifference(), function)
    assert relative_error(found, differences) > 1e-4


def pooled(stride: int) -> Function:
    """Pooling and its reverse; windows that overlap can have one maximum."""

    def there_and_back(w: Tensor) -> Tensor:
        found, places = F.max_pool2d((DATA @ w)[None], 2, stride=stride, return_indices=True)
        return F.max_unpool2d(found, places, 2, stride=stride)

    return there_and_back


TWICE, UNLIKE = torch.tensor([0, -4, 2, 3]), torch.tensor([1, 3, -4, 2])


def put_in(*index: Tensor | slice | int) -> Function:
    """Sines of weights, written to some places of zeros."""

    def written(w: Tensor) -> Tensor:
        t = torch.zeros(4, 4, dtype=w.dtype)
        t[index] = w.sin().reshape(-1)[: t[index].numel()].reshape(t[index].shape)
        return t * DATA[:4]

    return written


def written_by(name: str, *index: Tensor) -> Function:
    def written(w: Tensor) -> Tensor:
        return getattr(torch.zeros(4, 4, dtype=w.dtype), name)(*index, w.sin()) * DATA[:4]

    return written


WRITTEN = {
    "t[index] = values": lambda index: put_in(index),
    "t[:, index] = values": lambda index: put_in(slice(None), index),
    "t[index, index] = values": lambda index: put_in(index, index),
    "t[1][index] = values": lambda index: put_in(1, index),
    "scatter": lambda index: written_by("scatter", -1, (index % 4).expand(4, 4)),
    "index_copy": lambda index: written_by("index_copy", 1, index % 4),
    "put": lambda index: written_by("put_", 4 * index[:, None] + torch.arange(4)),
}
"""Writes of values to the places that an index names."""

WRONG_ONCE: dict[str, tuple[Function, str]] = {
    **{
        f"{name}, an index twice": (write(TWICE), "twice.*which PyTorch gets wrong")
        for name, write in WRITTEN.items()
    },
    "an index twice": (pooled(1), "max_unpool2d with an index twice"),
    "as_strided_scatter": (
        lambda w: torch.as_strided_scatter(w.square(), w[:2, :2].exp(), (2, 2), (5, 2)),
        "as_strided_scatter",
    ),
    "scale_grad_by_freq": (
        lambda w: F.embedding(LABELS, w, scale_grad_by_freq=True),
        "scale_grad_by_freq=True",
    ),
}


@pytest.mark.parametrize("name", WRONG_ONCE)
def test_what_has_a_wrong_gradient_is_refused_in_the_outer_loss_too(name: str) -> None:
    function, sentence = WRONG_ONCE[name]
    with pytest.raises(UnsupportedDerivativeError, match=sentence):
        product(Autograd(), function)
    wrong = BilevelProblem(
        lambda w, a: w.square().sum() * a, lambda w, a: function(w).sin().sum() * a
    )
    for how in (Autograd(), CentralDifference()):
        with pytest.raises(UnsupportedDerivativeError, match=sentence):
            Amended(0.1, derivatives=how)(wrong, WEIGHTS, torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("name", WRONG_ONCE)
def test_each_refusal_of_a_gradient_has_a_reason(name: str) -> None:
    function, _ = WRONG_ONCE[name]
    w = WEIGHTS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(w).sin().sum(), w)
    along, step = WEIGHTS.cos(), 1e-6
    ahead, behind = (function(WEIGHTS + side * step * along).sin().sum() for side in (1, -1))
    difference = float(ahead - behind) / (2 * step)
    assert abs(float((slope * along).sum()) - difference) > 1e-3


SOUND_WRITES: dict[str, Function] = {
    **{name: write(UNLIKE) for name, write in WRITTEN.items()},
    "a mask": put_in(torch.tensor([True, False, True, True]), 2),
    "constants, and an index twice": lambda w: w.sin().index_put((TWICE,), DATA[0, 0]),
    "sums, and an index twice": lambda w: DATA[:4].index_put((TWICE,), w.sin(), accumulate=True),
    "unpooling": pooled(2),
}


@pytest.mark.parametrize("name", SOUND_WRITES)
def test_writing_without_an_index_twice_is_right(name: str) -> None:
    write = SOUND_WRITES[name]
    exact, differences = (product(how, write) for how in (Autograd(), CentralDifference()))
    assert relative_error(exact, differences) < 1e-6


def test_rows_of_padding_are_constants_and_forward_mode_is_refused_there() -> None:
    """H is symmetric on what moves: the row of padding and its column are 0."""

    def padded(w: Tensor) -> Tensor:
        return F.embedding(LABELS, w, padding_idx=1) @ WEIGHTS @ w.detach()

    with pytest.raises(UnsupportedDerivativeError, match=r"padding_idx.*Autograd\(\)"):
        product(ReverseOverForward(), padded)
    omega, alpha = Vector.of(WEIGHTS), Vector.of(torch.tensor(0.7, dtype=torch.float64))
    loss = BilevelProblem(lambda w, a: a * padded(w).sin().sum().square(), lambda w, a: w.sum())
    dense = Autograd()(loss, omega, alpha).hessian.dense()
    assert torch.allclose(dense, dense.T, rtol=0, atol=1e-12)
    assert dense[4:8].abs().max() == 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_scripted_functions_are_right_by_autograd_and_refused_in_forward_mode() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Tanh(), nn.Softplus()))
    exact, expected = (
        product(Autograd(), lambda w, f=f: f(DATA @ w))
        for f in (scripted, lambda x: F.softplus(x.tanh()))
    )
    assert relative_error(exact, expected) < 1e-12
    with pytest.raises(UnsupportedDerivativeError, match=r"torch\.jit\.script"):
        product(ReverseOverForward(), lambda w: scripted(DATA @ w))


def test_class_weights_as_hyperparameters_are_sent_to_the_single_losses() -> None:
    weighed = BilevelProblem(
        lambda w, a: F.cross_entropy(DATA @ w, LABELS, weight=a.exp()), lambda w, a: w.sum()
    )
    mended = BilevelProblem(
        lambda w, a: (
            (F.cross_entropy(DATA @ w, LABELS, reduction="none") * a.exp()[LABELS]).sum()
            / a.exp()[LABELS].sum()
        ),
        weighed.outer,
    )
    alpha = torch.zeros(4, dtype=torch.float64)
    with pytest.raises(UnsupportedDerivativeError, match=r"argument weight.*reduction='none'"):
        Amended(0.1)(weighed, WEIGHTS, alpha)
    assert Amended(0.1)(mended, WEIGHTS, alpha).implicit[:3].all()


def test_a_gradient_penalty_through_a_norm_spelled_out_is_right() -> None:
    function = gradient_penalty(spelled_out)
    exact, differences = product(Autograd(), function), product(CentralDifference(), function)
    assert relative_error(exact, differences) < 1e-6


def test_a_module_with_weight_norm_is_refused_whatever_the_estimator_and_its_own_form_is_right():
    torch.manual_seed(0)
    net = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3, dtype=torch.float64))
    case = BilevelProblem.from_module(
        net,
        lambda n, a: a * n(DATA).sin().sum(),
        lambda n, a: n(DATA).square().sum(),
        hyperparams=torch.ones((), dtype=torch.float64),
    )
    with pytest.raises(UnsupportedDerivativeError, match="weight_norm"):
        Amended(0.1)(*case)

    def own(n: dict[str, Tensor], a: Tensor) -> Tensor:
        g, v = (n[f"parametrizations.weight.original{i}"] for i in (0, 1))
        weight = g * v / v.norm(dim=1, keepdim=True)
        return a * (DATA @ weight.T + n["bias"]).sin().sum()

    mended = BilevelProblem(own, case[0].outer)
    differences = Amended(0.1, derivatives=CentralDifference())(*case).implicit
    assert torch.isclose(Amended(0.1)(mended, *case[1:]).implicit, differences, rtol=1e-6)


MISSING: dict[str, tuple[Derivatives, Function, str]] = {
    "embedding_bag": (
        Autograd(),
        lambda w: F.embedding_bag(LABELS[None], w),
        r"embedding_bag.*F\.embedding\(\.\.\.\)\.mean\(1\)",
    ),
    "ctc_loss": (
        Autograd(),
        lambda w: F.ctc_loss(
            w[:, None].log_softmax(2), LABELS[None, 1:3], torch.tensor([4]), torch.tensor([2])
        ),
        "_ctc_loss has no second derivative",
    ),
    "batch norm in a penalty": (
        Autograd(),
        gradient_penalty(lambda y: F.batch_norm(y, None, None, training=True)),
        "batch_norm has no third derivative",
    ),
    "cross entropy": (
        ReverseOverForward(),
        lambda w: F.cross_entropy(DATA @ w, LABELS),
        r"cross_entropy.*Autograd\(\)",
    ),
    "softmax": (ReverseOverForward(), lambda w: (DATA @ w).softmax(1), r"softmax.*Autograd\(\)"),
    "weight norm of a whole weight": (
        ReverseOverForward(),
        lambda w: torch._weight_norm(w, w[0, 0], -1),
        r"another shape.*weight_norm with dim=None.*Autograd\(\)",
    ),
    "cdist": (
        ReverseOverForward(),
        lambda w: torch.cdist(w, DATA),
        r"_cdist_forward has no forward mode. Take Autograd\(\)",
    ),
    "a derivative by forward mode inside": (
        ReverseOverForward(),
        lambda w: torch.func.jvp(lambda x: torch.tanh(x @ w), (DATA,), (DATA,))[1],
        r"cannot nest. Take Autograd\(\)",
    ),
    "a tensor written to after it was used": (
        Autograd(),
        lambda w: (lambda y: [y.square(), y.add_(1)][0])(DATA @ w),
        "writes in place to a tensor that its derivative needs",
    ),
    "glu": (ReverseOverForward(), lambda w: F.glu(DATA @ w), r"forward mode of glu.*Autograd\(\)"),
    "checkpoint": (
        ReverseOverForward(),
        lambda w: checkpoint(lambda v: torch.tanh(DATA @ v), w, use_reentrant=False),
        r"forward mode cannot pass.*Autograd\(\)",
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_pytorch_has_not_is_said_in_one_sentence(name: str) -> None:
    how, function, sentence = MISSING[name]
    with pytest.raises(UnsupportedDerivativeError, match=sentence):
        product(how, function)


@pytest.mark.parametrize(
    "how", [Autograd(), CentralDifference()], ids=lambda how: type(how).__name__
)
def test_reentrant_checkpointing_is_refused_and_the_other_form_is_right(how: Derivatives) -> None:
    def block(reentrant: bool) -> Function:
        return lambda w: checkpoint(lambda v: torch.tanh(DATA @ v), w, use_reentrant=reentrant)

    with pytest.raises(UnsupportedDerivativeError, match="use_reentrant=False"):
        product(how, block(True))
    expected = product(Autograd(), lambda w: torch.tanh(DATA @ w))
    assert relative_error(product(how, block(False)), expected) < 1e-6


def test_a_reentrant_checkpoint_that_closes_over_omega_gives_no_silent_zero() -> None:
    """No derivative in ω passes it: without a refusal H would be zero in forward mode."""

    def closed(w: Tensor) -> Tensor:
        x = DATA.clone().requires_grad_()
        return checkpoint(lambda x: torch.tanh(x @ w), x, use_reentrant=True)

    with pytest.raises(UnsupportedDerivativeError, match=r"reentrant.*use_reentrant=False"):
        product(ReverseOverForward(), closed)


@pytest.mark.parametrize("estimator", [Exact(), Exact(derivatives=CentralDifference())], ids=repr)
@pytest.mark.parametrize("which", ["inner", "outer"])
@pytest.mark.parametrize("tracked", [False, True])
def test_a_reentrant_checkpoint_on_data_is_no_silent_constant(
    estimator: Exact, which: str, tracked: bool
) -> None:
    """Its graph has the weights that it closes over nowhere, or where no gradient reaches them."""

    def value(w: Tensor, checkpointed: bool) -> Tensor:
        x = DATA.clone().requires_grad_(tracked)
        hidden = checkpoint(lambda x: x @ w, x, use_reentrant=True) if checkpointed else DATA @ w
        return torch.tanh(hidden).square().sum() + w.square().sum()

    problem = BilevelProblem(
        lambda w, a: a.exp() * value(w, which == "inner"), lambda w, a: value(w, which == "outer")
    )
    w, a = DATA.new_full(DATA.shape[1:], 0.3), DATA.new_zeros(())
    with pytest.raises(UnsupportedDerivativeError, match=r"reentrant.*use_reentrant=False"):
        estimator(problem, w, a)
    assert "use_reentrant=False" in str(check(problem, w, a)) or tracked


def test_a_reentrant_checkpoint_of_what_is_frozen_is_let_be_without_gradients() -> None:
    def features(w: Tensor) -> Tensor:
        with torch.no_grad():
            frozen = checkpoint(torch.tanh, DATA, use_reentrant=True)
        return frozen @ w

    expected = product(Autograd(), lambda w: torch.tanh(DATA) @ w)
    with pytest.warns(UserWarning, match="None of the inputs"):
        assert relative_error(product(Autograd(), features), expected) < 1e-12


@pytest.mark.parametrize(
    "how", [Autograd(), CentralDifference()], ids=lambda how: type(how).__name__
)
def test_a_sparse_embedding_is_refused_by_its_leaf(how: Derivatives) -> None:
    with pytest.raises(UnsupportedDerivativeError, match=r"leaf <root> is sparse.*sparse=False"):
        product(how, lambda w: F.embedding(LABELS, w, sparse=True))
    exact = product(Autograd(), lambda w: F.embedding(LABELS, w))
    assert relative_error(exact, product(Autograd(), lambda w: w[LABELS])) == 0


def test_attention_names_the_maths_kernel_which_is_right() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0, activation="gelu")
    layer = layer.double()

    def case(attend: Callable[[nn.Module], Tensor]):
        def fit(n, a):
            return a * attend(n)[..., 0].sin().sum()

        return BilevelProblem.from_module(
            layer, fit, fit, hyperparams=torch.ones((), dtype=torch.float64)
        )

    def by_maths(n: nn.Module) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return n(DATA[None])

    with pytest.raises(UnsupportedDerivativeError, match=r"sdpa_kernel\(SDPBackend\.MATH\)"):
        Amended(0.1)(*case(lambda n: n(DATA[None])))
    found = Amended(0.1)(*case(by_maths)).implicit
    expected = Amended(0.1, derivatives=CentralDifference())(*case(by_maths)).implicit
    assert torch.isclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_a_compiled_module_is_sent_back_to_its_original() -> None:
    torch.manual_seed(0)
    compiled = torch.compile(nn.Linear(4, 3, dtype=torch.float64), backend="aot_eager")

    def case(module: nn.Module):
        def fit(n, a):
            return a * n(DATA).sin().sum()

        alpha = torch.ones((), dtype=torch.float64)
        return BilevelProblem.from_module(module, fit, fit, hyperparams=alpha)

    with pytest.raises(UnsupportedDerivativeError, match=r"compiled\._orig_mod"):
        Amended(0.1)(*case(compiled))
    assert Amended(0.1)(*case(compiled._orig_mod)).implicit.isfinite()


class ReadsItsGradient(torch.autograd.Function):
    """Its backward asks for a number, which vmap has not."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return slope * x.cos() if slope.sum().item() < 1e9 else slope


@pytest.mark.parametrize(
    "function",
    [lambda w: torch.sparse.mm(DATA[:4].to_sparse(), w), ReadsItsGradient.apply],
    ids=["a sparse matrix", "a number of the gradient"],
)
def test_what_takes_no_products_at_once_is_sent_to_one_by_one(function: Function) -> None:
    omega, alpha = Vector.of(WEIGHTS), Vector.of(torch.ones((), dtype=torch.float64))
    with pytest.raises(UnsupportedDerivativeError, match=r"products at once.*chunk=1"):
        Autograd(chunk=4)(problem(function), omega, alpha).hessian.dense()
    found = Autograd()(problem(function), omega, alpha).hessian.dense()
    assert torch.allclose(found @ omega.flat().cos(), product(Autograd(), function).flat() / 0.7)


def test_a_look_for_unused_leaves_explains_what_pytorch_refuses() -> None:
    """First order takes a derivative of L_train only where that of L_val is 0."""

    def inner(w: Tensor, a: Tensor) -> Tensor:
        y = DATA @ w * a
        return [y.square(), y.add_(1)][0].sum()

    case = BilevelProblem(inner, lambda w, a: w.square().sum())
    with pytest.raises(UnsupportedDerivativeError, match="writes in place to a tensor"):
        FirstOrder()(case, WEIGHTS, torch.ones((), dtype=torch.float64))


def test_a_loss_that_switches_gradients_off_is_sent_to_detach() -> None:
    with pytest.raises(UnsupportedDerivativeError, match=r"sets requires_grad.*detach\(\)"):
        product(ReverseOverForward(), lambda w: w * w.requires_grad_(False).sum())


def test_other_errors_pass_as_they_are() -> None:
    def broken(w: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 must have the same dtype")

    with pytest.raises(RuntimeError, match=r"^mat1 and mat2"):
        product(ReverseOverForward(), broken)


def dropped(w: Tensor) -> Tensor:
    return F.dropout(DATA @ w, 0.3)


@pytest.mark.parametrize("how", [CentralDifference(), ReverseOverForward()])
def test_products_of_several_evaluations_refuse_a_random_loss(how: Derivatives) -> None:
    with pytest.raises(ValueError, match=r"draws random numbers.*replaying\(seed\)"):
        product(how, dropped)
    omega, alpha = Vector.of(WEIGHTS), Vector.of(torch.ones((), dtype=torch.float64))
    replayed = how(problem(dropped).replaying(0), omega, alpha).hessian @ omega
    expected = Autograd()(problem(dropped).replaying(0), omega, alpha).hessian @ omega
    assert relative_error(replayed, expected) < 1e-6


def test_estimators_warn_of_a_random_loss_and_not_of_a_replayed_one() -> None:
    point = WEIGHTS, torch.ones((), dtype=torch.float64)
    noisy = BilevelProblem(problem(dropped).inner, lambda w, a: dropped(w).square().sum())
    for estimator in (FirstOrder(), Amended(0.1)):
        with pytest.warns(RandomLoss, match=r"replaying\(seed\)"):
            estimator(noisy, *point)
        estimator(noisy.replaying(0), *point)  # warnings are errors in this test run
