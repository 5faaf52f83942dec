"""One command from its words to its exit status."""

import sys
import warnings
from collections.abc import Sequence

from darts.commands.command import Command, Invocation
from darts.commands.errors import CutOff, UsageError, for_the_user, refusing
from darts.commands.help import screenful
from darts.commands.typed import in_options, read
from darts.training.evaluation import NonFiniteLossError, ran_out_of_memory

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run_command(kind: type[Command], name: str, arguments: Sequence[str], *, debug: bool) -> int:
    """Read the command's options and run it; 0 is success, 1 a failure, 2 what cannot be met.

    An error meant for the user is one line, or keeps its traceback if `debug`; others keep theirs.
    """
    given = Invocation(name, tuple(arguments))
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
        return _complain(_spelled(str(error), kind, given), 2)
    except BrokenPipeError:
        raise
    except (NonFiniteLossError, ValueError, OSError) as error:
        if debug or not for_the_user(error):
            raise
        return _complain(_spelled(_of_the_system(error), kind, given), 1)
    except (MemoryError, RuntimeError) as error:
        if debug or not ran_out_of_memory(error):
            raise
        return _complain(
            f"Out of memory: {str(error).splitlines()[0] if str(error) else 'no more to be had'}. "
            "Begin a new run with fewer images a batch (--search.batch-size, "
            "--retrain.batch-size) or fewer channels or cells, or free memory and go on with "
            "--resume and the run folder.",
            1,
        )
    except CutOff as interrupt:
        print(
            f"\ndarts: Interrupted; all steps are saved. To go on:\n  {interrupt.command}",
            file=sys.stderr,
        )
        return INTERRUPTED
    except KeyboardInterrupt:
        return _complain(
            "Interrupted. Add --resume RUN_DIR to go on from the last checkpoint; a sweep goes on "
            "by its own command.",
            INTERRUPTED,
        )


def _spelled(message: str, kind: type[Command], given: Invocation) -> str:
    """A message about settings in the words that were typed; those of a file keep its own."""
    return message if "--resume" in given.arguments else in_options(message, kind)


def _of_the_system(error: Exception) -> str:
    """What an error says; one of the system without its number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"darts: {line if len(line) <= 2000 else line[:2000] + '…'}", file=sys.stderr)
    return status
