"""Values by name: "name:parameter=value,..." becomes an object, and an object becomes text."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from bilevel import Autograd, CentralDifference
from bilevel.derivatives import Derivatives
from bilevel.reverse_over_forward import ReverseOverForward

DERIVATIVES: Mapping[str, Derivatives] = {
    "autograd": Autograd(),
    "reverse-over-forward": ReverseOverForward(),
    "central-difference": CentralDifference(),
}
NOTHING = "none"


@dataclass(frozen=True)
class Names:
    """The values of one idea, by name.

    A parameter is a number, true or false, or numbers with / between them. A class with a field
    `derivatives` also takes difference_step, in short for central differences of that step.

    Args:
        what: how errors call the idea, e.g. "estimator".
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
        return ((NOTHING,) if self.optional else ()) + tuple(self.kinds)

    @property
    def form(self) -> str:
        """What `read` takes, as help texts show it."""
        named = "{" + ",".join(self.known) + "}[:PARAMETER=VALUE,...]"
        return f"INT|{named}" if self.number else named

    def read(self, text: str) -> Any:
        """The value that `text` names.

        Raises:
            ValueError: there is no such name or parameter, one is missing, or the class refuses.
        """
        name, _, rest = text.partition(":")
        if self.optional and text == NOTHING:
            return None
        if self.number and text.isdecimal():
            return int(text)
        if name not in self.kinds:
            besides = ", and whole numbers" if self.number else ""
            raise ValueError(
                f"No {self.what} {name!r}; there are {', '.join(self.known)}{besides}."
            )
        kind = self.kinds[name]
        parameters = _parameters(kind)
        values: dict[str, Any] = dict(self.usual.get(name, {}))
        for part in filter(None, rest.split(",")):
            key, _, value = part.partition("=")
            if key == "difference_step" and "derivatives" in parameters:
                values["derivatives"] = CentralDifference(step=_number(key, value))
            elif key not in parameters:
                options = ", ".join(parameters) or "none"
                raise ValueError(f"{name} has no parameter {key!r}; it has {options}.")
            elif key == "derivatives":
                if value not in DERIVATIVES:
                    raise ValueError(
                        f"No derivatives {value!r}; there are {', '.join(DERIVATIVES)}."
                    )
                values[key] = DERIVATIVES[value]
            else:
                values[key] = _parsed(key, value, get_type_hints(kind)[key])
        for key, entry in parameters.items():
            if entry.default is MISSING and entry.default_factory is MISSING and key not in values:
                raise ValueError(f"{name} needs {key}, for instance {name}:{key}=0.1.")
        return kind(**values)

    def write(self, value: Any) -> str:
        """The inverse of `read`."""
        if value is None:
            return NOTHING
        if self.number and type(value) is int:
            return str(value)
        name = next(name for name, kind in self.kinds.items() if type(value) is kind)
        parts = []
        for key, entry in _parameters(type(value)).items():
            found = getattr(value, key)
            if key == "derivatives":
                usual = self.usual.get(name, {}).get(key, entry.default)
                if isinstance(found, CentralDifference) and found.step:
                    parts.append(f"difference_step={found.step}")
                elif found != usual:
                    kinds = {type(how): text for text, how in DERIVATIVES.items()}
                    parts.append(f"{key}={kinds[type(found)]}")
            elif found != entry.default:
                parts.append(f"{key}={_printed(found)}")
        return f"{name}:{','.join(parts)}" if parts else name


def _parameters(kind: type) -> dict[str, Field[Any]]:
    """The fields that text can give: numbers, and how derivatives are taken."""
    hints = get_type_hints(kind)
    return {
        entry.name: entry
        for entry in fields(kind)
        if entry.name == "derivatives" or _alternatives(hints[entry.name])
    }


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The simple types that a hint allows; () where it asks for another object."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    parts = tuple(part for part in parts if get_origin(part) is not Callable)  # not from text
    simple = (int, float, bool, type(None), tuple[int, ...], tuple[float, ...])
    return parts if all(part in simple for part in parts) else ()


def _parsed(key: str, text: str, hint: Any) -> Any:
    allowed = _alternatives(hint)
    if type(None) in allowed and text == NOTHING:
        return None
    if bool in allowed:
        if text not in ("true", "false"):
            raise ValueError(f"{key}={text}: it must be true or false.")
        return text == "true"
    for kind in allowed:
        if get_origin(kind) is tuple:
            number = get_args(kind)[0]
            return tuple(_of(number, key, part) for part in text.split("/"))
    return _of(int if int in allowed else float, key, text)


def _of(kind: type, key: str, text: str) -> Any:
    number = _number(key, text)
    if kind is float:
        return number
    if not number.is_integer():
        raise ValueError(f"{key}={text}: it must be a whole number.")
    return int(number)


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{key}={text}: it must be a number.") from None


def _printed(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return NOTHING if value is None else str(value)
