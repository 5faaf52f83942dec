"""The command line: a table of commands, and one of them from its words to its exit status.

PyTorch is loaded when a command runs, not for `darts --help`.
"""

import argparse
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from darts.commands.program import of_this_process, started_by
from darts.commands.streams import prepare
from darts.commands.unread import UNREAD, nobody_reads, refused, say
from darts.nearest import unknown
from darts.records.packages import version_of

if TYPE_CHECKING:
    from darts.commands.command import Command

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
SIGNALLED = 128
"""Added to the number of a signal that ended a command: its exit status, as shells have it."""
INTERRUPTED = SIGNALLED + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure, 2 a request that cannot be met.

    It is 130 after Ctrl-C, 143 after SIGTERM, and 141 where nobody reads the output to its end.
    """
    prepare()
    try:
        try:
            return _status(argv)
        finally:
            sys.stdout.flush()  # a closed pipe or a full disk shows here, and not as Python ends
    except BrokenPipeError:
        if not nobody_reads():
            raise
        return UNREAD
    except OSError as error:
        told = refused(error)
        if told is None:
            raise
        return _complain(told, 1)
    except KeyboardInterrupt:  # before the command began, while PyTorch is loaded
        return _complain("Interrupted. Give the command again.", INTERRUPTED)


def _status(argv: Sequence[str] | None) -> int:
    if argv is None:
        started_by.set(of_this_process())
    given = list(sys.argv[1:] if argv is None else argv)
    words = [word for word in given if word != DEBUG]
    if words[:1] == ["help"]:
        words[0] = "--help"
    known = (*COMMANDS, "--help", "--version")
    if words and words[0] not in (*known, "-h"):
        return _complain(unknown("command", words[0], known), 2)
    options = _parser().parse_args(words[:1] or ["--help"])
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
        "--version", action="version", version=f"amended-darts {version_of('amended-darts')}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def run_command(kind: "type[Command]", name: str, arguments: Sequence[str], *, debug: bool) -> int:
    """Read the command's options and run it; 0 is success, 1 a failure, 2 what cannot be met.

    An error meant for the user is one line, or keeps its traceback if `debug`; others keep theirs.
    """
    from darts.commands.command import Invocation
    from darts.commands.errors import CutOff, UsageError, for_the_user, refusing
    from darts.commands.help import screenful
    from darts.commands.remedies import after_interrupt, has_folder, less_memory
    from darts.commands.typed import in_options, read
    from darts.training.evaluation import NonFiniteLossError, ran_out_of_memory

    given = Invocation(name, tuple(arguments))
    for word in arguments:
        if word != word.encode(errors="replace").decode():
            return _complain(
                f"{word!a} is a name with bytes that are no UTF-8, which event files and "
                "charts cannot hold. Rename the file or folder.",
                2,
            )

    def spelled(message: str) -> str:
        """About settings in the words that were typed; a message about a file keeps its own."""
        return message if "--resume" in arguments else in_options(message, kind)

    for kind_of_notice in (FutureWarning, DeprecationWarning):  # torch's, about itself
        warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated", kind_of_notice)
    try:
        if {"-h", "--help"} & set(arguments):
            with refusing():
                print(screenful(kind, name, kind.usual(given)))
            return 0
        return read(kind, given).run(given)
    except UsageError as error:
        if debug:
            raise
        return _complain(spelled(str(error)), 2)
    except BrokenPipeError:
        raise
    except (NonFiniteLossError, ValueError, OSError) as error:
        if debug or not for_the_user(error):
            raise
        begun = has_folder(kind) or None
        told = refused(error, begun=begun) if isinstance(error, OSError) else None
        return _complain(told or spelled(_of_the_system(error)), 1)
    except (MemoryError, RuntimeError) as error:
        if debug or not ran_out_of_memory(error):
            raise
        return _complain(
            f"Out of memory: {str(error).splitlines()[0] if str(error) else 'no more to be had'}. "
            f"{less_memory(kind)}",
            1,
        )
    except CutOff as interrupt:
        say(f"\ndarts: Interrupted; all steps are saved. To go on:\n  {interrupt.command}")
        return SIGNALLED + interrupt.signal
    except KeyboardInterrupt:
        return _complain(f"Interrupted. {after_interrupt(kind)}", INTERRUPTED)


def _of_the_system(error: Exception) -> str:
    """What an error says; one of the system without its number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    say(f"darts: {line if len(line) <= 2000 else line[:2000] + '…'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
