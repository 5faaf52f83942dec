"""A network of robust-s4 draws noise: each evaluation of it draws the same."""

import json

import torch

from darts import cli

NOISE = [("noise", 0), ("sep_conv_3x3", 1)] * 4
GENOTYPE = (
    f"Genotype(normal={NOISE}, normal_concat=[2, 3, 4, 5], "
    f"reduce={NOISE}, reduce_concat=[2, 3, 4, 5])"
)


def test_the_recorded_accuracy_of_a_network_with_noise_is_evaluated_again_to_its_bits(tmp_path):
    path = tmp_path / "run"
    words = ["retrain", "--preset", "digits-check", "--genotype", GENOTYPE, "--device", "cpu"]
    assert cli.main([*words, "--retrain.epochs", "1", "--run-dir", str(path)]) == 0
    recorded = json.loads((path / "result.json").read_text())["retrain"]["test"]
    answers = json.loads((path / "retrain/answers.json").read_text())
    right = sum(a == b for a, b in zip(answers["labels"], answers["answers"], strict=True))
    assert 100 * right / recorded["images"] == recorded["accuracy_percent"]
    torch.rand(7)  # whatever was drawn before
    assert cli.main(["evaluate", str(path), "--device", "cpu"]) == 0
    found = json.loads((path / "evaluation.json").read_text())
    assert {name: found[name] for name in recorded} == recorded
