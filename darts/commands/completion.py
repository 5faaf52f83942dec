"""`darts completion`: a script with which a shell completes commands and options."""

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from darts.cli import COMMANDS
from darts.commands.closing import aside
from darts.commands.command import Command, Invocation
from darts.commands.help import options_of
from darts.config.presets import PRESETS

BASH = """_darts() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words
  if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"
  elif [ "$before" = --preset ]; then words="{presets}"
  else case ${{COMP_WORDS[1]}} in
{cases}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _darts darts
"""


@dataclass(frozen=True)
class Completion(Command):
    """Print a script with which a shell completes commands, options and presets.

    For bash, in ~/.bashrc: eval "$(darts completion bash)". zsh takes the same script.

    Args:
        shell: bash or zsh.
    """

    examples = ('eval "$(darts completion bash)"', "darts completion zsh >> ~/.zshrc")

    shell: Literal["bash", "zsh"]

    def run(self, given: Invocation) -> int:
        cases = (f'    {name}) words="{" ".join(_words(name))}" ;;' for name in COMMANDS)
        script = BASH.format(
            commands=" ".join(COMMANDS), presets=" ".join(PRESETS), cases="\n".join(cases)
        )
        if self.shell == "zsh":
            script = "autoload -U +X bashcompinit && bashcompinit\n" + script
        print(script, end="")
        aside(f'To use it, put into ~/.{self.shell}rc:\n  eval "$(darts completion {self.shell})"')
        return 0


def _words(command: str) -> list[str]:
    kind = getattr(
        import_module(f"darts.commands.{command.replace('-', '_')}"), COMMANDS[command][0]
    )
    names = [option.name for option in options_of(kind) if not option.is_argument]
    return [*names, "--help", "--help-all"]
