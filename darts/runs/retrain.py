"""Training of a genotype's network from scratch, and one look at the test images."""

import time
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from darts.data import Batches, RetrainData
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.networks import DerivedNetwork
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.runs.checkpoint import Checkpoints
from darts.runs.config import RetrainConfig, to_json
from darts.runs.evaluation import Evaluation, NonFiniteLossError, evaluate
from darts.runs.records import Record, RunFolder, write_atomically
from darts.runs.schedule import half_cosine
from darts.runs.state import State
from darts.spaces import Genotype

STAGE = "retrain"


@dataclass(frozen=True)
class RetrainResult:
    """The network after its last epoch. Sizes leave the auxiliary head out."""

    test: Evaluation
    params_millions: float
    multiply_adds_millions: float
    wall_seconds: float


def retrain(
    config: RetrainConfig,
    genotype: Genotype,
    data: RetrainData,
    run: RunFolder,
    *,
    device: str = "cpu",
) -> RetrainResult:
    """Train, or go on with the training that `run` holds; weights go to `network.safetensors`.

    Records of every epoch go to `retrain/epochs.jsonl`. A resumed training has the same bits as
    one that was never interrupted, on the CPU.

    Raises:
        NonFiniteLossError: a loss is not finite; the last checkpoint is kept.
        ValueError: a checkpoint in `run` is from another config or genotype.
    """
    training = _Training(config, genotype, data.to(device), device)
    origin = {**to_json(config), "genotype": genotype.to_json()}
    checkpoints = Checkpoints(run, STAGE, origin, share=config.checkpoint_share)
    saved = checkpoints.resume()
    done, step_done = saved.position if saved else (0, 0)
    if saved:
        training.restore(saved.state)
    steps = training.batches.per_epoch
    run.begin(STAGE, config.epochs, steps, (done, step_done))
    began = time.perf_counter() - training.wall_seconds
    for epoch in range(done, config.epochs):
        for step in range(step_done, steps):
            loss, right, images = training.step(epoch, step)
            if not loss < float("inf"):
                raise NonFiniteLossError(
                    f"Retraining stopped in epoch {epoch}, step {step}: the loss is {loss}. "
                    f"{checkpoints.whereabouts} Lower the learning rate ({config.learning_rate}) "
                    f"or clip below {config.clip} in a new run."
                )
            training.totals.add(loss, right, images)
            training.wall_seconds = time.perf_counter() - began
            if checkpoints.due:
                checkpoints.save((epoch, step + 1), training.state())
            run.tick(STAGE, epoch, step)
        record: Record = {
            "epoch": epoch,
            "train_loss": training.totals.loss / training.totals.images,
            "train_accuracy_percent": 100 * training.totals.right / training.totals.images,
            "learning_rate": training.learning_rate(epoch, training.batches.per_epoch - 1),
            "drop_path": training.drop_path(epoch),
            "wall_seconds": training.wall_seconds,
        }
        if epoch + 1 == config.epochs or (
            config.test_every and (epoch + 1) % config.test_every == 0
        ):
            test = training.test()
            record["test_loss"] = test.loss
            record["test_accuracy_percent"] = test.accuracy_percent
        run.append(f"{STAGE}/epochs", record)
        training.totals, step_done = Totals(), 0
        training.wall_seconds = time.perf_counter() - began
        if checkpoints.due or epoch + 1 == config.epochs:
            checkpoints.save((epoch + 1, 0), training.state())
    write_atomically(run.path / STAGE / "network.safetensors", save(training.weights()))
    last = run.records(f"{STAGE}/epochs")[-1]
    return RetrainResult(
        Evaluation(last["test_loss"], last["test_accuracy_percent"], len(data.test)),
        training.params_millions,
        training.multiply_adds_millions,
        training.wall_seconds,
    )


def training_batches(config: RetrainConfig, data: RetrainData) -> Batches:
    """The stream of a training."""
    return Batches(
        data.train,
        data.normalisation,
        config.augmentation(data.mirror),
        config.batch_size,
        config.seed,
        "retrain",
    )


@dataclass
class Totals:
    """Sums over the steps of an epoch so far."""

    loss: float = 0.0
    right: int = 0
    images: int = 0

    def add(self, loss: float, right: int, images: int) -> None:
        self.loss += loss * images
        self.right += right
        self.images += images


class _Training:
    """The network, its optimiser and the data stream: all that a step changes or reads."""

    def __init__(
        self, config: RetrainConfig, genotype: Genotype, data: RetrainData, device: str
    ) -> None:
        self.config = config
        self.data = data
        self.device = device
        self.wall_seconds = 0.0
        self.totals = Totals()
        self.batches = training_batches(config, data)
        with seeded(derive_seed(config.seed, "derived network"), device):
            self.network = DerivedNetwork(
                genotype,
                channels=config.channels,
                cells=config.cells,
                classes=data.train.classes,
                in_channels=data.train.channels,
                auxiliary=config.auxiliary_weight > 0,
            ).to(device)
        self.params_millions = count_parameters(self.network) / 1e6
        self.multiply_adds_millions = count_multiply_adds(self.network, data.train.shape) / 1e6
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def learning_rate(self, epoch: int, step: int) -> float:
        config = self.config
        progress = (epoch + step / self.batches.per_epoch) / config.epochs
        return half_cosine(config.learning_rate, config.learning_rate_end, progress)

    def drop_path(self, epoch: int) -> float:
        """Grows linearly by epochs, from 0 (DARTS)."""
        return self.config.drop_path * epoch / self.config.epochs

    def step(self, epoch: int, step: int) -> tuple[float, int, int]:
        """One SGD step; the loss without the auxiliary head's, right answers, images."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(epoch, step)
        images, labels = self.batches.at(epoch, step)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with seeded(derive_seed(config.seed, "drop-path", epoch, step), self.device):
            output = self.network(images, self.drop_path(epoch))
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        loss = F.cross_entropy(logits, labels)
        total = loss
        if auxiliary is not None:
            total = loss + config.auxiliary_weight * F.cross_entropy(auxiliary, labels)
        if torch.isfinite(total):
            torch.autograd.backward(total)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
            self.optimizer.step()
        right = int((logits.argmax(dim=1) == labels).sum())
        judged = loss if torch.isfinite(total) else total
        return float(judged.detach()), right, len(labels)

    def test(self) -> Evaluation:
        self.network.eval()
        return evaluate(
            self.network, in_order(self.data.test, self.data.normalisation, self.config.batch_size)
        )

    def weights(self) -> dict[str, Tensor]:
        return {name: value.contiguous().cpu() for name, value in self.network.state_dict().items()}

    def state(self) -> State:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "totals": asdict(self.totals),
            "wall_seconds": self.wall_seconds,
        }

    def restore(self, state: State) -> None:
        """Put a state in place."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.totals = Totals(**state["totals"])
        self.wall_seconds = state["wall_seconds"]
