"""A state comes back as it was, types and memory layout included; no other bytes are one."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bilevel.state import find_non_finite, pack, unpack
from tests.darts.training.tiny import assert_same_bits

numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
trees = st.dictionaries(
    st.text() | st.integers(),
    st.recursive(
        numbers,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        ),
        max_leaves=10,
    ),
    max_size=4,
)


@given(trees)
def test_numbers_text_and_containers_come_back(state):
    assert_same_bits(unpack(pack(state)), state)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3),
        torch.zeros(0, 3),
        torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.randn(4, 1, 3, 3).contiguous(memory_format=torch.channels_last),
        torch.randn(3, 4).T,
        torch.randn(7).to(torch.bfloat16),
        torch.tensor([True, False]),
        torch.tensor([float("nan"), float("inf"), -0.0]),
    ],
    ids=lambda tensor: f"{tensor.dtype} {list(tensor.shape)}",
)
def test_a_tensor_comes_back_with_its_bits_type_and_layout(tensor):
    found = unpack(pack({"x": tensor, 7: [tensor]}))
    for back in (found["x"], found[7][0]):
        assert back.dtype == tensor.dtype
        assert [n for n, size in zip(back.stride(), back.shape, strict=True) if size > 1] == [
            n for n, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1
        ]
        assert torch.equal(bits(back), bits(tensor))


def test_an_optimiser_in_channels_last_comes_back_and_steps_alike():
    weights = torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)
    optimizers = []
    for _ in range(2):
        parameter = weights.clone().requires_grad_()
        optimizers.append(torch.optim.SGD([parameter], lr=0.1, momentum=0.9))
        parameter.grad = weights.cos()
        optimizers[-1].step()
    one, other = optimizers
    other.load_state_dict(unpack(pack({"state": one.state_dict()}))["state"])
    assert_same_bits(other.state_dict(), one.state_dict())


def test_what_is_no_state_is_refused():
    with pytest.raises(TypeError, match="/x/0 is a object"):
        pack({"x": [object()]})
    with pytest.raises(TypeError, match="both at /a/b"):
        pack({"a/b": torch.zeros(1), "a": {"b": torch.zeros(1)}})


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 20, pack({"x": torch.ones(3)})[:-1]])
def test_bytes_that_are_no_state_are_refused(content):
    with pytest.raises(ValueError, match="not a packed state"):
        unpack(content)


def test_a_safetensors_file_of_something_else_is_refused():
    from safetensors.torch import save

    for metadata in (None, {"tree": "[["}, {"tree": json.dumps(["tensor", "y", [0]])}):
        with pytest.raises(ValueError, match="not a packed state"):
            unpack(save({"x": torch.ones(1)}, metadata))


def test_the_first_number_that_is_not_finite_is_found():
    state = {"a": torch.ones(2), "b": {"c": [torch.tensor([1.0, float("nan")])]}, "n": float("nan")}
    assert find_non_finite(state) == "/b/c/0"
    assert find_non_finite({"a": torch.tensor([2**62])}) is None
