"""The command line: a table of commands. PyTorch is loaded when one of them runs."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version

from darts.commands.unread import UNREAD, nobody_reads
from darts.nearest import unknown

COMMANDS: Mapping[str, tuple[str, str]] = {
    "full-search": ("FullSearch", "search an architecture, retrain it, and write a report"),
    "search": ("Search", "search an architecture only"),
    "retrain": ("Retrain", "train a genotype's network from scratch"),
    "sweep": ("Sweep", "many full searches on one machine or a Ray cluster"),
    "random-search": ("RandomSearch", "draw genotypes, train each shortly, keep the best"),
    "report": ("Report", "write report.html again from the records of run folders"),
    "compare": ("Compare", "set any runs beside one another on one page"),
    "presets": ("Presets", "list the presets: what, on which data, how long"),
    "doctor": ("Doctor", "what this machine has for a run, and what a preset needs"),
    "evaluate": ("Evaluate", "evaluate a saved network on test images"),
    "count": ("Count", "parameters and multiply-adds of a genotype's network"),
    "measure": ("Measure", "times of operations on this device, for searches with a target"),
    "draw": ("Draw", "the cells of a genotype as a picture, SVG or PNG"),
    "convert": ("Convert", "a genotype in another notation: DARTS's, NAS-Bench-201's, JSON"),
    "import-original": ("ImportOriginal", "weights that DARTS's own code saved, as a network here"),
    "export": ("Export", "write a network for use elsewhere: safetensors, .pt2, ONNX"),
    "completion": ("Completion", "a script that completes commands and options in a shell"),
}
"""By name: its class, in `darts/commands/` under the same name, and what it does."""
DEBUG = "--debug"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure, 2 a request that cannot be met.

    It is 130 after Ctrl-C, and 141 where nobody reads the output to its end.
    """
    try:
        try:
            return _status(argv)
        finally:
            sys.stdout.flush()  # a closed pipe shows here, and not as Python ends
    except BrokenPipeError:
        if not nobody_reads():
            raise
        return UNREAD


def _status(argv: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    words = [word for word in given if word != DEBUG]
    if words[:1] == ["help"]:
        words[0] = "--help"
    known = (*COMMANDS, "--help", "--version")
    if words and words[0] not in (*known, "-h"):
        print(f"darts: {unknown('command', words[0], known)}", file=sys.stderr)
        return 2
    options = _parser().parse_args(words[:1] or ["--help"])
    from darts.commands.running import run_command

    module = import_module(f"darts.commands.{options.command.replace('-', '_')}")
    kind = getattr(module, COMMANDS[options.command][0])
    return run_command(kind, options.command, words[1:], debug=len(words) < len(given))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="darts",
        description="Search architectures, and know whether the search can be believed.",
        epilog=f"darts COMMAND --help lists a command's options. {DEBUG} shows the traceback of an "
        "error that else is one line.",
    )
    parser.add_argument(
        "--version", action="version", version=f"amended-darts {version('amended-darts')}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


if __name__ == "__main__":
    sys.exit(main())
