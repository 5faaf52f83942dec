"""Runs of experiments use AVX2 on any x86 processor, so that one with AVX-512 has the same bits."""

import os
import platform

import pytest
import torch

from benchmarks.experiments.queue import machine_of_runs
from benchmarks.experiments.record import machine_name
from darts.kernels.library import flags
from darts.records.environment import describe_environment

x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="an x86 processor is needed"
)
VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")


@pytest.mark.parametrize(
    ("instructions", "name"),
    [
        ({}, "amd-epyc"),  # of records made before instructions were written down: all AVX2
        ({"instructions": "AVX2"}, "amd-epyc"),
        ({"instructions": "AVX2, oneDNN at most AVX2"}, "amd-epyc"),
        ({"instructions": "AVX512"}, "amd-epyc-avx512"),
    ],
)
def test_a_processor_is_named_with_instructions_wider_than_avx2(instructions, name):
    assert machine_name({"device_name": "CPU", "processor": "AMD EPYC", **instructions}) == name


def test_a_gpu_is_named_without():
    environment = {"device_name": "NVIDIA H200", "processor": "AMD EPYC", "instructions": "AVX512"}
    assert machine_name(environment) == "nvidia-h200"


@x86
@pytest.mark.parametrize(("asked", "named"), [(None, ""), ("default", "-default")])
def test_runs_use_avx2_unless_their_user_says_otherwise(asked, named, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if asked:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", asked)
    with_avx2 = machine_name({**describe_environment("cpu", ""), "instructions": "AVX2"})
    assert machine_of_runs("cpu") == with_avx2 + named
    assert [os.environ.get(name) for name in VARIABLES] == [asked, None]  # nothing is left behind


@pytest.mark.parametrize(
    ("capability", "without"), [("AVX2", True), ("AVX512", False), ("NEON", False)]
)
def test_the_kernels_do_without_avx512_where_pytorch_does(capability, without, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert ("-mno-avx512f" in flags()) == without
