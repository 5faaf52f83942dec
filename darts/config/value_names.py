"""Values by name: "name:parameter=value,..." becomes an object, and an object becomes text."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

from bilevel import Autograd, CentralDifference
from bilevel.derivatives import Derivatives, ReverseOverForward
from darts.config.declared import default_of, require_declared
from darts.nearest import unknown

WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False}
STEP, IN_FULL = "difference_step=", "derivatives=central-difference:step="
"""In short for central differences of that step."""


@dataclass(frozen=True)
class Names:
    """The values of one idea, by name.

    A parameter is a number, true or false, numbers with / between them, or how derivatives are
    taken.

    Args:
        what: the name of the idea in errors, e.g. "estimator".
        kinds: the class of each name.
        usual: parameters that a name alone stands for, where the class asks for them or has
            others by default.
        optional: "none" names the absence of a value.
        number: a whole number stands for itself.
    """

    what: str
    kinds: Mapping[str, type]
    usual: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optional: bool = False
    number: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        return (("none",) if self.optional else ()) + tuple(self.kinds)

    @property
    def form(self) -> str:
        """The form of the text that `read` takes, as help shows it."""
        named = "{" + ",".join(self.known) + "}[:PARAMETER=VALUE,...]"
        return f"INT|{named}" if self.number else named

    def read(self, text: str) -> Any:
        """The value that `text` names.

        Raises:
            ValueError: there is no such name or parameter, one is missing, or the class refuses.
        """
        if self.optional and text == "none":
            return None
        if self.number and text.isdecimal():
            return int(text)
        name, _, rest = text.partition(":")
        if name not in self.kinds:
            if self.number:
                words = ", ".join((*self.known[:-1], "a positive whole number"))
                raise ValueError(
                    f"{name!r} is no {self.what}: give {words} or {self.known[-1]}:PARAMETER=VALUE."
                )
            raise ValueError(unknown(self.what, name, self.known))
        kind, values = self.kinds[name], dict(self.usual.get(name, {}))
        parameters = _parameters(kind)
        for part in filter(None, rest.replace(STEP, IN_FULL).split(",")):
            key, _, value = part.partition("=")
            if key not in parameters:
                raise ValueError(f"{name}: {unknown('parameter', key, parameters)}")
            values[key] = _value(value, get_type_hints(kind)[key])
        needed = [key for key, entry in parameters.items() if default_of(entry) is MISSING]
        absent = [key for key in needed if key not in values]
        if absent:
            example = ",".join(f"{key}={_example(get_type_hints(kind)[key])}" for key in needed)
            raise ValueError(f"{name} needs {', '.join(absent)}, for instance {name}:{example}.")
        require_declared(kind, values)
        return kind(**values)

    def write(self, value: Any) -> str:
        """The inverse of `read`."""
        if value is None or type(value) is int:
            return "none" if value is None else str(value)
        name = next(name for name, kind in self.kinds.items() if type(value) is kind)
        usual, parts = self.usual.get(name, {}), []
        for key, entry in _parameters(type(value)).items():
            found, default = getattr(value, key), default_of(entry)
            if default is MISSING or found != usual.get(key, default):
                parts.append(f"{key}={_printed(found)}")
        return (f"{name}:{','.join(parts)}" if parts else name).replace(IN_FULL, STEP)


DERIVATIVES = Names(
    "derivatives",
    {
        "autograd": Autograd,
        "reverse-over-forward": ReverseOverForward,
        "central-difference": CentralDifference,
    },
)


def _parameters(kind: type) -> dict[str, Field[Any]]:
    """The fields that text can give."""
    simple, hints = {int, float, bool, tuple[int, ...], tuple[float, ...]}, get_type_hints(kind)
    return {
        entry.name: entry
        for entry in fields(kind)
        if (hint := hints[entry.name]) is Derivatives or simple & {hint, *get_args(hint)}
    }


def _example(hint: Any) -> str:
    """A value of a parameter that every class which needs one takes."""
    return "2" if hint is int else "0.1"


def _value(text: str, hint: Any) -> Any:
    if hint is Derivatives:
        return DERIVATIVES.read(text)
    if get_origin(hint) is tuple:
        return tuple(_value(part, get_args(hint)[0]) for part in text.split("/"))
    kinds = (int, float) if int in (hint, *get_args(hint)) else (float,)
    for kind in kinds:
        try:
            return kind(text)
        except ValueError:
            pass
    return WORDS.get(text, text)


def _printed(value: Any) -> str:
    if type(value) in DERIVATIVES.kinds.values():
        return DERIVATIVES.write(value)
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return next((word for word, known in WORDS.items() if value is known), str(value))
