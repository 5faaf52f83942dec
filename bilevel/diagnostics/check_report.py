"""The findings of a check of a problem, in words."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from bilevel.derivatives import Checked, Derivatives
from bilevel.estimators.alerts import CheckFailed


class CheckFailedError(ValueError):
    """A problem or its derivatives break an assumption of the estimators."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        where: the loss, leaf or operation.
        text: the fault, its size, and the remedy, in words.
        wrong: whether it makes hypergradients wrong or impossible.
    """

    where: str
    text: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"{'WRONG' if self.wrong else 'note'}, {self.where}: {self.text}"


@dataclass(frozen=True)
class Cost:
    """The cost of a check.

    Attributes:
        gradients: evaluations of a loss with its gradient.
        values: evaluations of a loss alone.
        products: products with H, B or Bᵀ.
    """

    gradients: int
    values: int
    products: int

    @property
    def in_gradients(self) -> float:
        """All of it in gradients: a value counts as a third of one, a product as two."""
        return self.gradients + self.values / 3 + 2 * self.products

    def __str__(self) -> str:
        return (
            f"{self.gradients} gradients, {self.values} values of a loss and {self.products} "
            f"products, about {self.in_gradients:.0f} gradients in all"
        )


@dataclass(frozen=True)
class CheckReport:
    """`print(report)`, or look at `report.ok`.

    Attributes:
        findings: the findings; empty: nothing wrong.
        taken: the derivatives that were checked.
        precision: the distance of their products from differences of gradients, in words.
        cost: the cost of the check.
    """

    findings: tuple[Finding, ...]
    taken: Derivatives
    precision: str
    cost: Cost

    @property
    def ok(self) -> bool:
        """Whether no finding makes hypergradients wrong."""
        return not any(finding.wrong for finding in self.findings)

    @property
    def derivatives(self) -> Checked:
        """The derivatives, marked as checked: a certificate does not list them as an assumption.

        Raises:
            CheckFailedError: something is wrong.
        """
        self.raise_if_wrong()
        return Checked(self.taken)

    def raise_if_wrong(self) -> None:
        """Raise CheckFailedError, with the report for its message, unless `ok`."""
        if not self.ok:
            raise CheckFailedError(str(self))

    def warn_if_wrong(self) -> None:
        """Warn CheckFailed, with the report for its message, unless `ok`."""
        if not self.ok:
            warnings.warn(str(self), CheckFailed, stacklevel=3)

    def __str__(self) -> str:
        wrong = sum(finding.wrong for finding in self.findings)
        head = (
            "Nothing wrong was found."
            if not wrong
            else f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong."
        )
        return "\n".join(
            [
                f"{head} Products by {type(self.taken).__name__}: {self.precision}.",
                *(f"- {finding}" for finding in self.findings),
                f"Cost: {self.cost}.",
            ]
        )
