"""The console that runs, dry runs and tables are shown on."""

from rich.console import Console


class Terminal(Console):
    """rich's, but that it leaves it to the command to end where nobody reads on."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
