"""A thousand damaged configs and genotypes: each is refused in one line, or is a valid one."""

import copy
import json
import random
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from darts import cli
from darts.commands import requests
from darts.commands.errors import UsageError, for_the_user
from darts.commands.named import genotype_named
from darts.config.as_json import to_json
from darts.config.full import FullConfig, full_config
from darts.config.presets import PRESETS
from darts.config.retrain import RetrainConfig
from darts.config.search import SearchConfig
from darts.data import Digits, LabelledImages
from darts.names import TYPES
from darts.networks import DerivedNetwork
from darts.networks.counting import count_multiply_adds
from darts.records.run_folder import RunFolder
from darts.spaces import Genotype
from darts.spaces.published import PUBLISHED
from darts.training.full import require_feasible
from tests.darts.training import tiny

POOL = [
    *(None, True, False, 0, -1, 1, 7, 3.5, -0.0, 10**9, 10**30, -(10**30), 2**63, 1e308, 5e-324),
    *("", "x", "none", "NaN", "../../etc/passwd", "ω" * 50, "\ud800", "0", "sep_conv_3x3", "\n\0"),
    *([], {}, [[]], [0], [None], {"type": "Digits"}, {"type": "Space"}, {"type": []}, [1, 2, 3]),
    *(float("nan"), float("inf"), float("-inf")),
    *("bf16", "fp16", {"type": "Computing"}),
    *({"type": "SearchConfig"}, {"normal": []}, ["skip_connect", 0], [["skip_connect", 0]] * 9),
]


def places(content: object, path: tuple = ()) -> list[tuple]:
    """The path of every value in a JSON tree but the root's."""
    items = content.items() if isinstance(content, dict) else ()
    items = enumerate(content) if isinstance(content, list) else items
    return [found for key, item in items for found in ((*path, key), *places(item, (*path, key)))]


def at(content: object, path: tuple) -> object:
    for key in path:
        content = content[key]
    return content


def change(content: object, rng: random.Random) -> object:
    """One structural change somewhere in a JSON tree."""
    where = places(content)
    if not where or rng.random() < 0.02:
        return rng.choice(POOL)
    path = rng.choice(where)
    parent, key = at(content, path[:-1]), path[-1]
    match rng.randrange(7):
        case 0:
            del parent[key]
        case 1:
            parent[key] = copy.deepcopy(at(content, rng.choice(where)))
        case 2 if isinstance(parent, dict):
            parent[rng.choice(["", "type", "surprise", "normal", "x_concat", key + " "])] = parent[
                key
            ]
        case 3 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(rng.choice([*POOL, parent[key]])))
        case 4 if type(parent[key]) in (int, float):
            parent[key] = rng.choice([-parent[key], parent[key] * 1000, parent[key] + 0.5])
        case 5 if isinstance(parent[key], str):
            parent[key] = parent[key][: rng.randrange(len(parent[key]) + 1)] + rng.choice("ax0_ .")
        case _:
            parent[key] = copy.deepcopy(rng.choice(POOL))
    return content


def break_bytes(text: bytes, rng: random.Random) -> bytes:
    """One change to the bytes of a file."""
    i, j = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    return rng.choice(
        [
            text[:i],
            text[:i] + text[j:],
            text[:i] + bytes(rng.randrange(256) for _ in range(3)) + text[i:],
            text[:i] + text[i:j] * 3 + text[j:],
            text[:i] + bytes([text[i] ^ (1 << rng.randrange(8))]) + text[i + 1 :]
            if i < len(text)
            else b"",
            text[:i] + b"[" * 100_000 + text[i:],
            text[:i] + b"9" * 6000 + text[i:],
            text.replace(b"1", b"1e999"),
            b"\xef\xbb\xbf" + text,
            b"",
        ]
    )


def mutants(valid: list[object], count: int, seed: int) -> list[bytes]:
    """Files: three in four changed in structure, once to four times, the others in their bytes."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        content = copy.deepcopy(rng.choice(valid))
        if rng.random() < 0.75:
            for _ in range(rng.randint(1, 4)):
                content = change(content, rng)
            made.append(json.dumps(content).encode())
        else:
            made.append(break_bytes(json.dumps(content).encode(), rng))
    return made


CONFIGS = [to_json(config) for config in PRESETS.values()] + [to_json(tiny.full_config())]
GENOTYPES = [published.genotype.to_dict() for published in PUBLISHED.values()]
GENOTYPES.append({"cell": {"inputs": 1, "nodes": [[["skip_connect", 0]]], "concat": [1]}})


@pytest.fixture(scope="module")
def digits():
    """Digits of 32 × 32, on which auxiliary heads fit as they do on the presets' own images."""
    small = Digits(train_size=200).load()

    def large(part):
        pixels = part.images.repeat_interleave(4, 2).repeat_interleave(4, 3)
        return LabelledImages(pixels, part.labels, part.classes)

    return replace(small, train=large(small.train), test=large(small.test))


INTERNALS = ("object at 0x", "Traceback", "NoneType", "list index", "has no attribute", "<class '")


def assert_one_clear_line(error: BaseException, content: bytes) -> None:
    """A message of this project's own, as `main` shows it: a sentence, and no internals."""
    line = " ".join(str(error).split())
    assert for_the_user(error), (line, content)  # raised on purpose, and not by what went wrong
    assert len(line) >= 15, (line, content)  # main cuts what is too long
    assert line[-1] in ".!?)", (line, content)
    assert not any(word in line for word in INTERNALS), (line, content)


def read_config(path: Path, content: bytes, digits) -> FullConfig:
    (path / "config.json").write_bytes(content)
    config = full_config(RunFolder.open(path).read("config.json"), TYPES)
    require_feasible(config, digits)
    return config


def test_a_thousand_damaged_configs_are_refused_or_valid(tmp_path, digits):
    began, valid, slowest = time.process_time(), 0, 0.0
    for content in mutants(CONFIGS, 1000, seed=0):
        start = time.process_time()
        try:
            config = read_config(tmp_path, content, digits)
            json.dumps(to_json(config))
            valid += 1
        except (ValueError, FileNotFoundError) as error:
            assert_one_clear_line(error, content)
        slowest = max(slowest, time.process_time() - start)
    assert 20 < valid < 500  # the changes are neither all fatal nor all harmless
    assert slowest < 10  # the network of a valid one is built: shapes alone, of up to 1,000 cells
    assert time.process_time() - began < 60


def test_a_thousand_damaged_genotypes_are_refused_or_give_a_network(tmp_path):
    path, valid = tmp_path / "genotype.json", 0
    for content in mutants(GENOTYPES, 1000, seed=1):
        path.write_bytes(content)
        start = time.process_time()
        try:
            genotype = genotype_named(str(path))
            with torch.device("meta"):
                network = DerivedNetwork(genotype, channels=4, cells=3)
            count_multiply_adds(network, (3, 32, 32))
            valid += 1
        except (ValueError, UsageError) as error:
            assert_one_clear_line(error, content)
        assert time.process_time() - start < 5, content[:200]
    assert 20 < valid < 700


@pytest.mark.parametrize("seed", range(6))
def test_by_command_a_damaged_file_is_one_line_and_status_1_or_2_or_it_counts(
    seed, tmp_path, capsys, monkeypatch
):
    """Through main itself, so that nothing on the way turns an error into a traceback."""
    monkeypatch.setattr(requests, "run_jobs", lambda jobs, devices: None)  # a valid run would run
    monkeypatch.setattr(requests, "launched", lambda placement, computing: nullcontext())
    for number, content in enumerate(mutants(GENOTYPES, 10, seed=100 + seed)):
        path = tmp_path / f"{number}.json"
        path.write_bytes(content)
        status = cli.main(["count", str(path), "--channels", "4", "--cells", "3"])
        out, err = capsys.readouterr()
        assert (status, bool(out), err.count("\n")) in [(0, True, 0), (1, False, 1), (2, False, 1)]
        assert err == "" or err.startswith("darts: ")
    for number, content in enumerate(mutants(CONFIGS, 10, seed=200 + seed)):
        path = tmp_path / f"run-{number}"
        path.mkdir()
        (path / "config.json").write_bytes(content)
        status = cli.main(["full-search", "--resume", str(path)])
        err = capsys.readouterr().err
        assert (status, err.count("\n")) in [(0, 0), (1, 1), (2, 1)], content
        assert len(err) < 2100


@pytest.mark.parametrize("stage", [SearchConfig, RetrainConfig])
@pytest.mark.parametrize(
    ("field", "most"), [("channels", 10_000), ("cells", 1000), ("padding", 1000), ("cutout", 1000)]
)
def test_a_size_that_no_machine_could_hold_is_refused_at_once(stage, field, most):
    stage(**{field: most if field != "cells" else 8})
    with pytest.raises(ValueError, match=rf"{field}={most + 1}\): it must be {most:,} or less"):
        stage(**{field: most + 1})


def test_a_whole_number_of_a_file_is_bounded_unless_it_is_a_seed():
    content = to_json(tiny.full_config())
    content["search"]["seed"] = 10**12
    assert full_config(content, TYPES).search.seed == 10**12
    content["search"]["epochs"] = 10**12
    with pytest.raises(ValueError, match=r"epochs=1000000000000\): it must be 1,000,000 or less"):
        full_config(content, TYPES)


def test_a_truth_value_is_no_number_and_text_no_space():
    for value, words in (
        (True, r"epochs=True\): it must be a whole number"),
        ("9", r"epochs='9'\): it must be a whole number"),
    ):
        content = to_json(tiny.full_config())
        content["search"]["epochs"] = value
        with pytest.raises(ValueError, match=words):
            full_config(content, TYPES)


def test_a_cell_of_more_edges_than_a_search_makes_is_refused():
    edges = [["skip_connect", 0]] * 502
    content = {"normal": edges, "normal_concat": [2], "reduce": edges, "reduce_concat": [2]}
    with pytest.raises(ValueError, match="502 edges and 2 inputs; a cell has at most 500"):
        Genotype.from_dict(content)


def test_a_message_names_the_byte_that_is_no_text_and_is_never_longer_than_a_screen(
    tmp_path, capsys
):
    path = tmp_path / "genotype.json"
    path.write_bytes(b'{"normal": "\xff"}')
    assert cli.main(["count", str(path)]) == 2
    assert "is not text in UTF-8 (byte 12 of 15 is 0xff)" in capsys.readouterr().err
    path.write_text(json.dumps({"normal": [["x" * 9000, 0]] * 2, "normal_concat": [2]}))
    assert cli.main(["count", str(path)]) == 2
    assert len(capsys.readouterr().err) < 2100


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "genotype.json"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # a hole: it takes no space
    with pytest.raises(UsageError, match="larger than 4,000,000 bytes"):
        genotype_named(str(path))
