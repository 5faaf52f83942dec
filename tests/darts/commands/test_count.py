"""`darts count`: the sizes that the literature states, and the width that a limit leaves."""

import pytest

from darts import cli
from darts.commands.count import Count
from darts.commands.sizes import USUAL, blueprint_of
from darts.methods.random_search import lightest_genotype
from darts.names import WIDTHS
from darts.networks.counting import count_parameters
from darts.networks.stem_and_head import IMAGENET, SMALL_IMAGES
from darts.networks.width import MultiplyAddLimit, multiply_adds
from darts.reports.millions import millions
from darts.spaces import s2
from darts.spaces.published import DARTS_V2, PUBLISHED


@pytest.mark.parametrize("stem", [SMALL_IMAGES, IMAGENET])
def test_sizes_left_out_are_those_of_published_counts(stem):
    blueprint, image = blueprint_of(Count("DARTS_V2", stem=stem), DARTS_V2)
    size = PUBLISHED["DARTS_V2"].imagenet if stem == IMAGENET else PUBLISHED["DARTS_V2"].cifar
    assert count_parameters(blueprint.build()) / 1e6 == pytest.approx(size.params_millions)
    found = multiply_adds(blueprint, image) / 1e6
    assert round(found, 3) == size.multiply_adds_millions
    assert image == (USUAL[stem].image_size,) * 2


def test_a_frame_by_name_prints_imagenets_counts(capsys):
    assert cli.main(["count", "DARTS_V2", "--stem", "imagenet"]) == 0
    shown = capsys.readouterr().out
    assert shown == (
        "C = 48, 14 cells, 1000 classes: 4.719 M parameters, 529.9 M multiply-adds for one image "
        "of 224×224 (no auxiliary head); in s1\n"
        "next:\n  darts draw DARTS_V2\n  darts retrain --genotype DARTS_V2\n"
    )
    assert cli.main(["count", "DARTS_V1", "--stem", "imagenet"]) == 0
    beside = capsys.readouterr().out.splitlines()[1]
    assert beside == "DARTS_V2 at the same sizes: 4.719 M parameters, 529.9 M multiply-adds"


def test_a_limit_prints_the_width_that_it_leaves(capsys):
    sizes = ["--cells", "2", "--image-size", "8", "--channels", "within:millions=0.5"]
    assert cli.main(["count", "DARTS_V2", *sizes]) == 0
    shown = capsys.readouterr().out
    blueprint, image = blueprint_of(
        Count("", channels=MultiplyAddLimit(0.5), cells=2, image_size=8), DARTS_V2
    )
    assert shown.startswith(f"C = {blueprint.channels}, 2 cells, 10 classes: ")
    assert f"{multiply_adds(blueprint, image) / 1e6:.4f} M multiply-adds" in shown


def test_a_small_network_is_counted_in_digits_that_tell_it_from_others(capsys):
    sizes = ["--cells", "3", "--image-size", "8", "--channels"]
    said = []
    for channels in (4, 5):
        assert cli.main(["count", "DARTS_V2", *sizes, str(channels)]) == 0
        said.append(capsys.readouterr().out.splitlines()[0])
    assert "0.002858 M parameters, 0.09075 M multiply-adds" in said[0]
    assert "0.1272 M multiply-adds" in said[1]


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (528.4321, 1, "528.4 M"),
        (12345.678, 1, "12345.7 M"),
        (3.349342, 3, "3.349 M"),
        (52.8432, 1, "52.84 M"),
        (0.000012, 3, "0.000012 M"),
        (0.0, 1, "0.000 M"),
    ],
)
def test_millions_have_four_digits_at_least_where_there_are_as_many(value, decimals, shown):
    assert millions(value, decimals) == shown


def test_cells_that_stand_otherwise_than_darts_have_sizes_of_their_own(capsys):
    """NAS-Bench-201's largest network has 1.531546 M parameters and 220.12 M multiply-adds."""
    largest = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    largest += "+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    assert cli.main(["count", largest]) == 0
    assert capsys.readouterr().out.startswith(
        "C = 16, 15 cells, 10 classes: 1.532 M parameters, 220.1 M multiply-adds"
    )
    genotype = lightest_genotype(s2(3))
    assert blueprint_of(Count(""), genotype)[0].cells == 3


def test_a_width_is_a_number_or_a_limit_and_reads_back():
    for text, value in (
        ("42", 42),
        ("within", MultiplyAddLimit(600.0)),
        ("within:millions=300.5", MultiplyAddLimit(300.5)),
    ):
        assert WIDTHS.read(text) == value
        assert WIDTHS.read(WIDTHS.write(value)) == value
    for text in ("-1", "4.5", "many", "within:channels=3", ""):
        with pytest.raises(
            ValueError,
            match=r"is no number of channels: give a positive .* or within:|within: No parameter",
        ):
            WIDTHS.read(text)
    assert WIDTHS.form == "INT|{within}[:PARAMETER=VALUE,...]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channels", "within:millions=0.001"], "keeps to 0.001 M multiply-adds"),
        (
            ["--channels", "within:millions=5000", "--cells", "1", "--image-size", "1"],
            "more than 10,000 channels",
        ),
        (["--image-size", "0"], "give --image-size 1 or more"),
        (["--stem", "imagenet", "--channels", "7"], "Choose an even number of channels"),
        (["--channels", "0"], "channels=0: give a whole number"),
    ],
)
def test_sizes_that_no_network_has_are_refused_in_one_line(arguments, message, capsys):
    assert cli.main(["count", "DARTS_V2", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--retrain.cells", "20"], "needs 8×8. Leave it out"),
        (["--retrain.stem", "imagenet", "--retrain.channels", "4"], "the auxiliary head got"),
        (["--retrain.channels", "within:millions=0.0001"], "keeps to 0.0001 M multiply-adds"),
        (["--retrain.stem", "imagenet", "--retrain.channels", "3"], "Give 2 or 4"),
    ],
)
def test_a_genotype_whose_network_does_not_fit_the_images_is_refused_before_a_folder_is_made(
    changes, message, capsys, monkeypatch, tmp_path
):
    """8×8 digits have no room for an auxiliary head."""
    monkeypatch.chdir(tmp_path)
    usual = ["--preset", "digits-check", "--retrain.auxiliary-weight", "0.4"]
    assert cli.main(["retrain", "--genotype", "DARTS_V2", *usual, *changes]) in (1, 2)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_network_has_that_network_counted_beside_the_tables(tmp_path, capsys):
    small = ["--channels", "4", "--cells", "3", "--image-size", "8", "--in-channels", "1"]
    folder = str(tmp_path / "small")
    assert cli.main(["export", "DARTS_V2", *small, "--to", folder, "--formats"]) == 0
    said = capsys.readouterr().out
    assert f"files:\n  {folder}/network.safetensors\n" in said
    assert f"next:\n  darts count {folder}\n" in said
    assert cli.main(["count", folder]) == 0
    own, table, differ = capsys.readouterr().out.splitlines()[:3]
    assert own.startswith("its own network: C = 4, 3 cells, 10 classes: ")
    assert "for one image of 8×8" in own
    assert table.startswith("as tables count it: C = 36, 20 cells, 10 classes: 3.349 M parameters")
    assert differ == (
        "they differ in C (4, not 36), cells (3, not 20), channels of the images (1, not 3), "
        "image size (8×8, not 32×32)."
    )
    assert cli.main(["count", folder, "--cells", "20"]) == 0
    assert "3.349 M parameters" in capsys.readouterr().out
