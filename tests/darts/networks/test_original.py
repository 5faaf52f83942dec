"""Weights that DARTS's code saved give its logits here; every other file is refused in a line."""

import os
from collections import OrderedDict

import pytest
import torch
from torch import nn

from darts import cli
from darts.networks.blueprint import describe, load_network
from darts.networks.original import load_original, original
from darts.spaces import Genotype
from darts.spaces.published import DARTS_V1, DARTS_V2, PUBLISHED
from tests.reference_darts_network import NetworkCIFAR, NetworkImageNet


def theirs(genotype: Genotype, kind=NetworkCIFAR, layers: int = 5, auxiliary: bool = True):
    """A network of the reference in float64, its weights and statistics far from their first."""
    torch.manual_seed(0)
    cells = [(cell.edges, cell.concat) for cell in (genotype["normal"], genotype["reduce"])]
    network = kind(4, 7, layers, auxiliary, [part for cell in cells for part in cell]).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def same(ours, expected):
    """To float64's rounding through some 60 layers, of sums of up to 500 terms: 60·500·1e-16."""
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "name", ["DARTS_V1", "DARTS_V2", "PC_DARTS_cifar", "PDARTS", "NASNet", "AmoebaNet"]
)
def test_a_saved_network_for_cifar_gives_the_same_logits(name, tmp_path):
    genotype = PUBLISHED[name].genotype
    network = theirs(genotype)
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    ours = load_original(tmp_path / "weights.pt", genotype)
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        same(ours(images), network.eval()(images)[0])
        # with statistics of the batch, and the auxiliary head
        for found, expected in zip(ours.train()(images), network.train()(images), strict=True):
            same(found, expected)


@pytest.mark.parametrize("name", ["DARTS_V2", "PC_DARTS_image"])
def test_a_saved_network_for_imagenet_gives_the_same_logits(name):
    network = theirs(PUBLISHED[name].genotype, NetworkImageNet)
    ours = load_original(network.state_dict(), PUBLISHED[name].genotype)
    images = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        same(ours(images), network.eval()(images)[0])
        for found, expected in zip(ours.train()(images), network.train()(images), strict=True):
            same(found, expected)


def test_the_forms_in_which_their_scripts_save_are_read(tmp_path):
    network = theirs(DARTS_V1, auxiliary=False)
    state = network.state_dict()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = network.eval()(images)[0]
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    parallel = {"epoch": 3, "state_dict": {f"module.{name}": v for name, v in state.items()}}
    for content in (old, parallel):
        torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
        same(load_original(tmp_path / "a.pt", DARTS_V1)(images), expected)


def test_weights_of_two_precisions_lose_no_digit():
    state = theirs(DARTS_V2, auxiliary=False).state_dict()
    mixed = OrderedDict(state, **{"classifier.weight": state["classifier.weight"].half()})
    weights = load_original(mixed, DARTS_V2).state_dict()
    assert torch.equal(weights["stem.convolution.weight"], state["stem.0.weight"])
    assert torch.equal(weights["classifier.weight"], mixed["classifier.weight"].double())


def test_sizes_are_read_off_the_weights():
    found = original(theirs(DARTS_V2, NetworkImageNet).state_dict(), DARTS_V2)
    sizes = [getattr(found.blueprint, n) for n in ("channels", "cells", "classes", "in_channels")]
    assert sizes == [4, 5, 7, 3]
    assert found.auxiliary


class Runs:
    """What a pickle runs when it is read without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_what_is_no_such_file_is_refused_in_one_line_and_never_run(tmp_path):
    state = theirs(DARTS_V2).state_dict()
    without = OrderedDict(state)
    del without["cells.2.preprocess0.conv_1.weight"]
    wide = OrderedDict(state, **{"classifier.weight": torch.zeros(7, 5)})
    cases = {
        "one without a tensor": (without, "1 are missing, the first cells.2.preprocess.0.straight"),
        "one more": (OrderedDict(state, more=torch.zeros(1)), "1 have no place, the first more"),
        "another shape": (wide, r"classifier.weight has shape \(7, 5\)"),
        "no cells": ({"stem.0.weight": state["stem.0.weight"]}, r"the cells \[\]"),
        "no stem": ({"fc.weight": torch.zeros(1)}, "have 'stem.0.weight' with 4 dimensions"),
        "a tensor": (torch.zeros(3), "found a Tensor"),
        "a module's numbers": ({"a": 3}, "entry 'a' is a int"),
        "nothing": ({}, "found an empty dict"),
        "no numbers": ({"a": torch.zeros(3, device="meta")}, "'a' is a tensor without numbers"),
        "whole numbers": ({"a": torch.zeros(3, dtype=torch.int8)}, "'a' holds torch.int8"),
        "complex ones": ({"a": torch.zeros(3) * 1j}, "'a' holds torch.complex64"),
        "none": ({"a": torch.tensor([1.0, torch.nan])}, "'a' holds 1 of 2 numbers that are not"),
        "code": ({"a": Runs(tmp_path / "ran")}, "without running code of it"),
    }
    path = tmp_path / "weights.pt"
    for content, message in cases.values():
        torch.save(content, path)
        with pytest.raises(ValueError, match=message):
            load_original(path, DARTS_V2)
    torch.save(state, path)
    whole = path.read_bytes()
    for data in (b"", b"text", whole[:-100], whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match=r"without running code .*bytes\)\. Save it"
        ) as refused:
            load_original(path, DARTS_V2)
        assert "\x1b" not in str(refused.value)
    os.mkfifo(tmp_path / "pipe.pt")
    for place in (tmp_path, tmp_path / "pipe.pt"):
        with pytest.raises(ValueError, match="is no file"):
            load_original(place, DARTS_V2)
    assert not (tmp_path / "ran").exists()


def test_by_command_the_weights_become_a_folder_that_loads(tmp_path, capsys):
    network = theirs(DARTS_V2).float()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    words = ["import-original", str(tmp_path / "weights.pt"), "--to", str(tmp_path / "imported")]
    assert cli.main([*words, "--genotype", "DARTS_V2"]) == 0
    assert "C = 4, 5 cells, 7 classes, 3 channels, small images" in capsys.readouterr().out
    ours = load_network(tmp_path / "imported")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():  # float32: eps is 5e8 times float64's
        expected = network.eval()(images)[0]
        torch.testing.assert_close(ours(images), expected, rtol=5e-3, atol=5e-3)
    mean = describe(tmp_path / "imported")["normalisation"]["mean"]
    assert mean == [0.49139968, 0.48215827, 0.44653124]
    for more, message in (
        (
            ["--genotype", "DARTS_V1", "--to", str(tmp_path / "other")],
            "not those of this genotype's network",
        ),
        (["--genotype", "DARTS_V2"], "exists and is not empty"),
    ):
        assert cli.main([*words, *more]) in (1, 2)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_another_genotype_is_refused_where_the_weights_can_tell():
    state = theirs(DARTS_V2).state_dict()
    with pytest.raises(ValueError, match="not those of this genotype's network"):
        load_original(state, DARTS_V1)
