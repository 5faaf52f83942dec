"""The data sets that a run can have: those of the project, and those that a script registers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from darts.data.area import reduced
from darts.data.digits import Digits
from darts.data.given import Given
from darts.data.image_folder import ImageFolders
from darts.data.images import ImageSet, LabelledImages
from darts.data.own_images import OwnImages
from darts.data.published import Cifar10, Cifar100, FashionMnist, Mnist
from darts.data.splits import subset


@runtime_checkable
class DataSet(Protocol):
    """A data set in a config: its fields say where the images are and how many are wanted."""

    @property
    def name(self) -> str:
        """The set's name on the command line and in records."""

    def load(self) -> ImageSet:
        """Find or read the images."""


Factory = Callable[[], ImageSet] | type[DataSet]
"""A function without arguments that makes the images, or a frozen dataclass that is a `DataSet`."""


@dataclass(frozen=True)
class Registered:
    """Images that a function makes, registered under a name.

    Args:
        name: the name that it was registered under.
        train_size: stratified subset of the training images; None takes them all.
        test_size: the same of the test images.
        split_seed: seed of both draws.
        image_size: side in pixels to which square images are averaged; None leaves them.
    """

    name: str
    train_size: int | None = None
    test_size: int | None = None
    split_seed: int = 0
    image_size: int | None = None

    def load(self) -> ImageSet:
        """The images that the function makes, or the subset that is asked for.

        Raises:
            ValueError: nothing is registered under the name, or it makes no `ImageSet`, or one
                that does not fit together.
        """
        make = _FUNCTIONS.get(self.name)
        if make is None:
            raise ValueError(
                f"No data set {self.name!r} is registered here. Call register_data_set("
                f"{self.name!r}, ...) first, as the script that began the run did: run that script "
                "in place of darts."
            )
        images = replace(_image_set(make(), self.name), name=self.name).require_whole()
        parts = {}
        for part, size in (("train", self.train_size), ("test", self.test_size)):
            chosen = subset(getattr(images, part), size, self.split_seed)
            if self.image_size is not None:
                if not isinstance(chosen, LabelledImages):
                    raise ValueError(
                        f"--image-size {self.image_size} of {self.name!r}, whose images are not in "
                        "memory. Leave it out."
                    )
                chosen = reduced(chosen, self.image_size)
            parts[part] = chosen
        return replace(images, **parts)


def images_of_set(data: DataSet) -> ImageSet:
    """The images that a data set finds or reads.

    Those of a class that a script registered are held to what the project's own keep to.

    Raises:
        ValueError: they are not there, are no `ImageSet`, or do not fit together.
    """
    images = data.load()
    if isinstance(data, (*_PROJECTS_OWN, Registered)):
        return images
    return _image_set(images, data.name).require_whole()


def _image_set(made: object, name: str) -> ImageSet:
    """What a script's own code made of images.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(made, ImageSet):
        raise ValueError(
            f"What is registered as {name!r} returned {type(made).__name__}. It must return a "
            "darts.data.ImageSet; image_set(...) makes one of arrays."
        )
    return made


_PROJECTS_OWN: tuple[type[DataSet], ...] = (
    *(Digits, Cifar10, Cifar100, Mnist, FashionMnist),
    *(ImageFolders, OwnImages),
)
_FUNCTIONS: dict[str, Callable[[], ImageSet]] = {}
_TYPES: dict[str, type] = {kind.__name__: kind for kind in (*_PROJECTS_OWN, Registered, Given)}

DATA_SETS: dict[str, Callable[[], DataSet]] = {str(kind.name): kind for kind in _PROJECTS_OWN}
"""By the name on the command line: makes one with its usual fields. Those registered included."""
DATA_TYPES: Mapping[str, type] = MappingProxyType(_TYPES)
"""Every class that a config.json may name for its images."""


def register_data_set(name: str, factory: Factory) -> None:
    """Let a name stand for images of your own: on the command line, in configs, in sweeps.

    A script that registers and then calls `darts.cli.main()` is the command line with them. The
    name, not the images, is what a run folder keeps: to resume, evaluate or report on such a run,
    use a script that registers the same.

    Args:
        name: the name for --dataset, and in records.
        factory: a function without arguments that returns an `ImageSet` (`image_set` makes one of
            arrays); --train-size, --test-size and --image-size then take less of it. Or a frozen
            dataclass with a class variable `name` and a method `load() -> ImageSet`; what of
            root, train_size, test_size, image_size, ... it has as fields are its options.

    Raises:
        ValueError: the name is taken, or the factory is neither.
    """
    if not name or name in DATA_SETS:
        raise ValueError(f"there is a data set {name!r} already. Register under another name.")
    if not callable(factory):
        raise ValueError(
            f"register_data_set({name!r}, {type(factory).__name__}): give a function that returns "
            "an ImageSet, or a dataclass with a method load()."
        )
    if not (isinstance(factory, type) and hasattr(factory, "load")):
        _FUNCTIONS[name] = factory  # type: ignore[assignment]
        DATA_SETS[name] = lambda: Registered(name)
        return
    kind: Any = factory
    known = is_dataclass(factory)
    if not known or getattr(kind, "name", None) != name:
        raise ValueError(
            f"register_data_set({name!r}, {kind.__name__}): the class must be a frozen dataclass "
            f"with the class variable name = {name!r}, which records hold."
        )
    if kind.__name__ in _TYPES:
        raise ValueError(
            f"there is a data set of class {kind.__name__} already. Call the class otherwise."
        )
    DATA_SETS[name], _TYPES[kind.__name__] = kind, kind


def registered() -> dict[str, Factory]:
    """Data sets that scripts have registered, by name, for other processes to register too."""
    own = {str(kind.name) for kind in _PROJECTS_OWN}
    found: dict[str, Any] = {**DATA_SETS, **_FUNCTIONS}
    return {name: make for name, make in found.items() if name not in own}
