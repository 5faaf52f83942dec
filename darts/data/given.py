"""Images that a script passes as arrays, as a config records them."""

from dataclasses import dataclass

from darts.data.images import ImageSet


@dataclass(frozen=True)
class Given:
    """Images that were passed to `darts.search` or `darts.retrain`; a run folder has only a digest.

    Args:
        name: the name that they were given.
    """

    name: str = "arrays"

    def load(self) -> ImageSet:
        """Refuse: the images cannot be found again.

        Raises:
            ValueError: always; it says how to go on.
        """
        raise ValueError(
            f"The images of this run, {self.name!r}, were passed by a script as arrays, and are in "
            "no file that is known. Call darts.search or darts.retrain again with the same images "
            "and its run_dir, or register them with register_data_set for runs of their own."
        )
