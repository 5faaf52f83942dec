"""The way a run computes, as far as its bits depend on it."""

from dataclasses import dataclass
from typing import Literal

from bilevel import Autograd
from bilevel.estimators import Estimator
from darts.methods import AdversarialPerturbation, Perturbation, Removal

Precision = Literal["32", "bf16", "fp16"]


@dataclass(frozen=True)
class Computing:
    """Precision, processes and compilation of a run, without its device.

    Args:
        precision: of ω's steps in a search, and of retraining: 32 is float32; bf16 and fp16
            are autocast, with weights, norms and losses in float32. Curvature products, α's
            gradients and evaluations are in float32 in any case.
        processes: number of processes that share each batch.
        compiled: whether retraining's network is compiled by torch.compile.
        checkpoint_activations: whether the supernet's cells are computed again for gradients
            instead of kept; `Supernet` states the memory that this saves.
        capture: whether a step on a GPU is captured as a graph and replayed, where it can be; on
            a CPU there is nothing to capture.

    Raises:
        ValueError: there is no process, or a compiled network for several.
    """

    precision: Precision = "32"
    processes: int = 1
    compiled: bool = False
    checkpoint_activations: bool = False
    capture: bool = False

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise ValueError(f"Computing(processes={self.processes}): give 1 or more.")
        if self.compiled and self.processes > 1:
            raise ValueError(
                f"a compiled network on {self.processes} processes: batch norm of the joint batch "
                "sends between them, which torch.compile cannot take into its graph. Leave one "
                "of --compile and --devices out."
            )

    def require_stages(self, *, search: bool, retrain: bool) -> None:
        """Raise ValueError if a setting is of a stage that is left out."""
        if self.compiled and not retrain:
            raise ValueError(
                "--compile without a retraining: the supernet is not compiled. Its second "
                "derivatives go through forward mode or graphs of gradients, and torch.compile "
                "gives a network that can be differentiated once. Leave --compile out."
            )
        if self.checkpoint_activations and not search:
            raise ValueError(
                "--checkpoint-activations without a search: only the supernet's cells are computed "
                "again. A retrained network's running statistics would be updated twice. Leave it "
                "out, and lower --retrain.batch-size if memory is short."
            )

    def require_shards(self, stage: str, batch_size: int) -> None:
        """Raise ValueError unless every process gets equally much of a batch."""
        if batch_size % self.processes:
            raise ValueError(
                f"a {stage} batch of {batch_size} images on {self.processes} processes: they need "
                f"equal parts. Set --{stage}.batch-size to a multiple of {self.processes}, for "
                f"example {-(-batch_size // self.processes) * self.processes}."
            )

    def require_search(
        self,
        batch_size: int,
        estimator: Estimator,
        perturbation: Perturbation | None,
        selection: Removal | None = None,
    ) -> None:
        """Raise ValueError if a search on several processes would not be that of one."""
        self.require_shards("search", batch_size)
        if self.processes == 1:
            return
        if isinstance(perturbation, AdversarialPerturbation):
            raise ValueError(
                f"AdversarialPerturbation on {self.processes} processes: each would climb the loss "
                "of its own shard of the batch. Use RandomPerturbation, or one process."
            )
        if selection is not None:
            raise ValueError(
                f"selection Removal on {self.processes} processes: operations are evaluated by the "
                "statistics of whole batches of one process. Use one process."
            )
        derivatives = getattr(estimator, "derivatives", None)
        if isinstance(derivatives, Autograd) and derivatives.chunk > 1:
            raise ValueError(
                f"Autograd(chunk={derivatives.chunk}) on {self.processes} processes: torch cannot "
                "take several products at once through what is sent between them. Use chunk=1."
            )


PLAIN = Computing()
"""One process, float32, nothing compiled or computed again."""
