"""What `darts random-search` refuses, in its own words and before it writes anything."""

import pytest

from darts import cli

SMALL = ("--preset", "digits-check", "--train-size", "60", "--samples", "2")


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["--group-timeout", "40"], "random-search has no --group-timeout 40", 2),
        (["--loggers", "csv"], "random-search has no --loggers", 2),
        (["--evaluation.test-every", "1"], "random-search has no --evaluation.test-every", 2),
        (["--samples=1"], "--samples 1 with --keep 2: keep at least one", 2),
        (["--evaluation.batch-size", "48"], "Set --evaluation.batch-size between 2 and 30", 1),
        (["--evaluation.cutout", "9"], "--evaluation.cutout 9 for images of 8×8", 1),
        (["--evaluation.channels", "within:millions=1e-4"], "keeps to 0.0001 M multiply-adds", 1),
        (
            ["--evaluation.auxiliary-weight", "0.4"],
            "Leave it out (--evaluation.auxiliary-weight 0)",
            1,
        ),
    ],
)
def test_what_cannot_be_is_refused_in_its_own_spelling_before_a_folder_is_made(
    arguments, message, status, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    batch = [] if "--evaluation.batch-size" in arguments else ["--evaluation.batch-size", "15"]
    assert cli.main(["random-search", *SMALL, *batch, *arguments]) == status
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert "--retrain." not in said
    assert list(tmp_path.iterdir()) == []
