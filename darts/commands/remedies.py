"""What to do after a command ended early, in the options that it has."""

from darts.commands.command import Command
from darts.commands.help import options_of


def after_interrupt(kind: type[Command]) -> str:
    """What to do after Ctrl-C, where the command does not say it itself."""
    if _resumes(kind):
        return "Add --resume RUN_DIR to go on from the last checkpoint."
    if has_folder(kind):
        return "Give the same command and --run-dir to go on."
    return "Give the command again."


def less_memory(kind: type[Command]) -> str:
    """What to do where memory ran out."""
    ends = [option.name.lstrip("-").rpartition(".")[2] for option in options_of(kind)]
    batches = [o.name for o in options_of(kind) if o.name.endswith("batch-size")]
    ways = [f"fewer images a batch ({', '.join(batches)})"] if batches else []
    ways += ["fewer channels or cells"] if {"channels", "cells"} <= set(ends) else []
    smaller = " or ".join(ways)
    if _resumes(kind):
        return (
            f"Begin a new run with {smaller}, or free memory and go on with --resume and the run "
            "folder."
        )
    if has_folder(kind):
        return (
            f"Begin in a new folder with {smaller}, or free memory and go on by the same command "
            "and --run-dir."
        )
    asked = f"Ask for {smaller}, or free" if ways else "Free"
    return f"{asked} memory and give the command again."


def _resumes(kind: type[Command]) -> bool:
    """Whether it goes on by --resume; a sweep and a random search refuse it."""
    return "resume" in kind.main.split()


def has_folder(kind: type[Command]) -> bool:
    """Whether it writes a run folder."""
    return any(option.name == "--run-dir" for option in options_of(kind))
