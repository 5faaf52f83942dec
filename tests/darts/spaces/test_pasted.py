"""Genotypes in text of any origin: read as Python or JSON would read them, or refused in a line."""

import json
import random
import re
from collections import namedtuple
from collections.abc import Callable

import pytest

from darts.commands.errors import for_the_user
from darts.spaces import NASBENCH201, CellGenotype, Genotype
from darts.spaces.nasbench201 import from_string
from darts.spaces.notation import genotype_from_text, genotype_in, genotype_to_text
from darts.spaces.published import DARTS_V1, DARTS_V2, PUBLISHED
from tests.darts.spaces.test_notation import AS_DARTS_PRINTS_IT

BENCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
V1 = genotype_in(DARTS_V1, "darts")

SAME = {
    "a line of a log": f"11/25 10:12:33 AM genotype = {AS_DARTS_PRINTS_IT}",
    "a line in brackets": f"[2024-11-25 10:12] [INFO] epoch 49: {AS_DARTS_PRINTS_IT} best so far",
    "a source file": (
        "from collections import namedtuple\n\nGenotype = namedtuple('Genotype', 'normal "
        f"normal_concat reduce reduce_concat')\n\nDARTS_V2 = {AS_DARTS_PRINTS_IT}\n"
    ),
    "a module's name before it": "best = genotypes." + AS_DARTS_PRINTS_IT,
    "on several lines, with a comment": AS_DARTS_PRINTS_IT.replace(
        "reduce=", "# it's the other\n    reduce="
    ),
    "quotes of a word processor": AS_DARTS_PRINTS_IT.replace("'", "’"),
    "the parts of the tuple in their order": re.sub(r"\w+=", "", AS_DARTS_PRINTS_IT),
    "NumPy's numbers": re.sub(r", (\d)\)", r", np.int64(\1))", AS_DARTS_PRINTS_IT),
    "PyTorch's numbers": re.sub(r"', (\d)\)", r"', tensor(\1))", AS_DARTS_PRINTS_IT),
    "lists for tuples": AS_DARTS_PRINTS_IT.replace("range(2, 6)", "array([2, 3, 4, 5])"),
    "node by node": genotype_in(DARTS_V2, "nested"),
    "node by node with strengths": re.sub(
        r"', (\d)\)", r"', \1, 0.125)", genotype_in(DARTS_V2, "nested")
    ),
    "GDAS's further entries": AS_DARTS_PRINTS_IT[:-1] + ", connectN=None, connects=None)",
    "a dict of Python": f"genotype: {DARTS_V2.to_dict()}",
    "JSON": DARTS_V2.to_json(),
    "a named tuple as JSON": json.dumps(list(DARTS_V2.to_dict().values())),
    "a record of a run": json.dumps({"epoch": 3, "loss": 0.1, "genotype": DARTS_V2.to_dict()}),
    "one genotype twice": f"{AS_DARTS_PRINTS_IT}\n{AS_DARTS_PRINTS_IT}",
}


@pytest.mark.parametrize("origin", SAME)
def test_what_other_tools_print_is_read(origin):
    assert genotype_from_text(SAME[origin]) == DARTS_V2


def test_edges_with_both_ends_are_read_whichever_comes_first():
    """FairDARTS's ('skip_connect', target, source), whose nodes take any number of edges."""
    expected = CellGenotype(
        "normal", (("skip_connect", 0), ("noise", 1), ("noise", 2)), (3,), (1, 2)
    )
    for text in (
        "Genotype(normal=[('skip_connect', 2, 0), ('noise', 3, 1), ('noise', 3, 2)], "
        "normal_concat=[3])",
        "Genotype(normal=[('skip_connect', 0, 2), ('noise', 1, 3), ('noise', 2, 3)], "
        "normal_concat=[3])",
    ):
        assert genotype_from_text(text)["normal"] == expected
    for text, message in (
        ("[('noise', 2, 0), ('noise', 1, 3)]", "some go up and some down"),
        ("[('noise', 2, 0), ('noise', 4, 1)]", r"into the states \[2, 4\]"),
        ("[('noise', 2, 2), ('noise', 2, 1)]", "to itself"),
    ):
        with pytest.raises(ValueError, match=message):
            genotype_from_text(f"Genotype(normal={text}, normal_concat=[3])")


@pytest.mark.parametrize(
    "text",
    [
        f"[Search] the best: {BENCH} with 94.37 %",
        f"Structure(4 nodes with {BENCH})",
        "[(('nor_conv_3x3', 0),), (('nor_conv_3x3', 0), ('avg_pool_3x3', 1)), "
        "(('skip_connect', 0), ('none', 1), ('nor_conv_1x1', 2))]",
    ],
)
def test_a_cell_of_nasbench201_is_read_in_a_log_and_as_nested_tuples(text):
    assert genotype_from_text(text) == from_string(BENCH)


def test_of_several_genotypes_one_is_named():
    text = f"DARTS_V1 = {V1}\nDARTS_V2 = {AS_DARTS_PRINTS_IT}\n"
    for which, genotype in (("1", DARTS_V1), ("DARTS_V2", DARTS_V2), ("last", DARTS_V2)):
        assert genotype_from_text(text, which) == genotype
    with pytest.raises(ValueError, match=r"2 genotypes, 2 of them different.*DARTS_V1, DARTS_V2"):
        genotype_from_text(text)
    for which in ("0", "3", "DARTS", "²"):
        with pytest.raises(ValueError, match=f"@{which}: .*2 genotypes. Give a number from 1 to 2"):
            genotype_from_text(text, which)


Tuple = namedtuple("Tuple", "normal normal_concat reduce reduce_concat")
ALPHABET = "()[],'=~|+ 0123456789_xnormalsekipcdz\n.#-*"
OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "skip_connect",
    "none",
    "noise",
    "warp",
    "",
    "avg_pool_3x3",
)


def mutated(text: str, rng: random.Random) -> str:
    """One to three small changes: of a character, a word, a part."""
    for _ in range(rng.randint(0, 3)):
        i = rng.randrange(len(text) + 1)
        j = min(len(text), i + rng.randrange(1, 30))
        change = rng.randrange(8)
        if change == 0:
            text = text[:i] + text[i + 1 :]
        elif change == 1:
            text = text[:i] + rng.choice(ALPHABET) + text[i + 1 :]
        elif change == 2:
            text = text[:i] + text[i:j] * 2 + text[j:]
        elif change == 3:
            text = text[:i] + text[j:]
        elif change == 4:
            text = text[:i] if rng.random() < 0.3 else text
        else:
            pattern = r"\d+(?=[)\]])" if change == 5 else r"\w+(?=')|(?<=\|)\w+|(?<=\")\w+_\w+"
            pool = [str(rng.randrange(8))] if change == 5 else OPERATIONS
            places = list(re.finditer(pattern, text))
            if places:
                at = rng.choice(places)
                text = text[: at.start()] + rng.choice(pool) + text[at.end() :]
        text = text or " "
    return text


def by_python(text: str) -> Genotype | None:
    """What Python makes of the call in `text`; None where that is no genotype."""
    start, found = text.find("Genotype("), None
    for stop in (end for end in range(start + 1, len(text) + 1) if text[end - 1] == ")"):
        try:
            names = {"__builtins__": {}, "Genotype": Tuple, "range": range}
            found = eval(text[start:stop], names)
            break
        except Exception:  # the bracket is not the call's last
            continue
    try:
        content = found._asdict()
        for kind in ("normal", "reduce"):
            content[f"{kind}_concat"] = list(content[f"{kind}_concat"])
            cell = content[kind]
            if any(isinstance(item, list) for item in cell):
                nodes = [[list(edge) for edge in node] for node in cell]
                concat = content.pop(f"{kind}_concat")
                content[kind] = {"inputs": 2, "nodes": nodes, "concat": concat}
            else:
                content[kind] = [list(edge) for edge in cell]
        return Genotype.from_dict(content)
    except Exception:  # whatever a broken text raises
        return None


def by_json(text: str) -> Genotype | None:
    """What `by_literal` makes of the text, or of it up to a bracket."""
    ends = [end for end in range(len(text), 0, -1) if text[end - 1] == "}"]
    found = (by_literal(text[text.find("{") : end]) for end in ends)
    return next((genotype for genotype in found if genotype is not None), None)


def by_literal(text: str) -> Genotype | None:
    """What JSON, or with a comma too many Python, makes of it, each name once."""
    try:
        content = eval(text, {"__builtins__": {}})
        names = re.findall(r"[\"'](\w*)[\"']\s*:", text)
        return Genotype.from_dict(content) if len(names) == len(content) else None
    except Exception:  # whatever a broken text raises
        return None


def by_columns(text: str) -> Genotype | None:
    """NAS-Bench-201's string, edge by edge; words without blanks or brackets are whole."""
    words = [word for word in re.split(r"[\s()\[\],'.]+", text) if "~" in word and "|" in word]
    start = words[0].index("|") if len(words) == 1 else 0
    shape = r"\+".join(
        r"\|" + "".join(rf"(?P<e{t}{s}>\w+)~{s}\|" for s in range(t)) for t in (1, 2, 3)
    )
    found = re.fullmatch(shape, words[0][start:]) if len(words) == 1 else None
    if not found or set(found.groupdict().values()) - set(NASBENCH201.operations):
        return None
    edges = tuple((found[f"e{t}{s}"], s) for t in (1, 2, 3) for s in range(t))
    return Genotype((CellGenotype("cell", edges, (3,), (1, 2, 3), first=1),))


def bench(rng: random.Random) -> str:
    return "+".join(
        "|" + "".join(f"{rng.choice(NASBENCH201.operations)}~{s}|" for s in range(t))
        for t in (1, 2, 3)
    )


def a_text(rng: random.Random) -> tuple[str, Callable[[str], Genotype | None]]:
    """A valid text and its independent reader."""
    names = [name for name in PUBLISHED if len(PUBLISHED[name].genotype.cells) == 2]
    genotype = PUBLISHED[rng.choice(names)].genotype
    match rng.randrange(4):
        case 0:
            return genotype_in(genotype, rng.choice(["darts", "nested"])), by_python
        case 1:
            return AS_DARTS_PRINTS_IT, by_python
        case 2:
            return genotype.to_json(), by_json
        case _:
            return bench(rng), by_columns


ARITHMETIC = re.compile(r"found a (BinOp|UnaryOp|Compare|Subscript|Attribute|Starred) in line")
"""What Python would work out, and the reader, which does not, refuses."""
AROUND = (
    ("", ""),
    ("", ""),
    ("11/25 10:12:33 AM genotype = ", ""),
    ("X = ", "\n"),
    ("[INFO] ", " ok"),
)


@pytest.mark.parametrize(
    "count", [300, pytest.param(5000, marks=pytest.mark.slow)], ids=["some", "five thousand"]
)
def test_a_changed_text_is_read_as_it_says_or_refused_in_one_line(count):
    """Never another genotype than an independent reader finds, nor none where it finds one."""
    rng, read = random.Random(count), 0
    for _ in range(count):
        valid, oracle = a_text(rng)
        text = mutated(valid, rng)
        before, after = rng.choice(AROUND)
        found, line = None, ""
        try:
            found = genotype_from_text(before + text + after)
        except ValueError as error:
            line = " ".join(str(error).split()) if for_the_user(error) else ""
        if found is not None:
            read += 1
            assert found == oracle(text), text
            assert genotype_from_text(genotype_to_text(found)) == found
        else:
            assert len(line) >= 15, text
            assert line[-1] in ".!?)", (line, text)
            if not ARITHMETIC.search(line):
                whole = by_literal if oracle is by_json else oracle
                assert whole(text) is None, (text, line)
    assert 0.25 < read / count < 0.75  # changes are neither all fatal nor all harmless
