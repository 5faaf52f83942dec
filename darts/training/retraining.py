"""The state of a retraining and its steps: the network, its optimiser, sums over an epoch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from bilevel import NonFiniteError
from bilevel.reading import leaving, read
from bilevel.state import State
from darts.config.as_json import to_json
from darts.config.retrain import RetrainConfig
from darts.config.schedule import warm_up
from darts.data import Batch, Batches, RetrainData
from darts.data.batches import in_order
from darts.data.seeds import derive_seed, seeded
from darts.networks.compilation import compiled
from darts.networks.counting import count_multiply_adds, count_parameters
from darts.parallel.launch import CPU, Devices
from darts.spaces import Genotype
from darts.spaces.joint_draws import WHOLE, Shard
from darts.tasks.task import widened
from darts.training.captured import Recorder, capturing_on, lay_out
from darts.training.evaluation import Evaluation, evaluate, same_draws
from darts.training.mixed_precision import MixedPrecision, require_finite_norm
from darts.training.optimizers import restore, set_rate, weights_optimizer
from darts.training.saved_network import SavedNetwork


def training_batches(config: RetrainConfig, data: RetrainData, shard: Shard = WHOLE) -> Batches:
    """The stream of a training, or one process's shard of it."""
    return Batches(
        data.train,
        data.normalisation,
        config.augmentation(data.mirror, data.crop),
        config.batch_size,
        config.seed,
        "retrain",
        shard,
    )


def require_network(config: RetrainConfig, genotype: Genotype, data: RetrainData) -> None:
    """Raise ValueError unless the network to be trained exists, and its heads fit the images.

    It is built and run without memory for its numbers.
    """
    blueprint = config.blueprint(genotype, data.train.shape, data.train.classes)
    with torch.device("meta"):
        network = blueprint.build(auxiliary=config.auxiliary_weight > 0).train()
        try:
            network(torch.zeros(2, *data.train.shape))
        except RuntimeError as error:  # of PyTorch, about shapes
            shape = "×".join(map(str, data.train.shape))
            raise ValueError(
                f"The network to be retrained cannot take images of {shape}: {error}"
            ) from error


@dataclass
class Totals:
    """Sums over the steps of an epoch so far: of losses, of what makes measures, of images."""

    loss: float = 0.0
    sums: list[float] = field(default_factory=list)
    images: int = 0

    def add(self, loss: float, sums: Sequence[float], images: int) -> None:
        self.loss += loss * images
        known = self.sums or [0.0] * len(sums)
        self.sums = [old + new for old, new in zip(known, sums, strict=True)]
        self.images += images


class Training:
    """The network, its optimiser and the data stream: all that a step changes or reads."""

    def __init__(
        self,
        config: RetrainConfig,
        genotype: Genotype,
        data: RetrainData,
        devices: Devices = CPU,
        note: Callable[[str], None] = lambda text: None,
        record: Recorder | None = None,
    ) -> None:
        self.config = config
        self.data = data
        self.task = data.train.task
        computing = devices.computing
        self.device = device = devices.device
        self.ranks = devices.ranks
        self.precision = MixedPrecision(computing.precision, device)
        self.capturing, self.reads_nothing = capturing_on(devices, note, record)
        self.wall_seconds = 0.0
        self.totals = Totals()
        self.batches = training_batches(config, data, self.ranks.shard)
        self.blueprint = config.blueprint(genotype, data.train.shape, data.train.classes)
        with seeded(derive_seed(config.seed, "derived network"), device):
            self.network = self.blueprint.build(auxiliary=config.auxiliary_weight > 0).to(device)
        lay_out(self.network, device)
        self.ranks.join(self.network)
        self.trained: Callable[..., Any] = (
            compiled(self.network) if computing.compiled else self.network
        )
        self.params_millions = count_parameters(self.network) / 1e6
        self.multiply_adds_millions = count_multiply_adds(self.network, data.train.shape) / 1e6
        self.optimizer = weights_optimizer(
            self.network.parameters(),
            config.learning_rate,
            config.momentum,
            config.weight_decay,
            on_device=device if self.reads_nothing else None,
        )

    def learning_rate(self, epoch: int, step: int) -> float:
        config = self.config
        passed = epoch + step / self.batches.per_epoch
        rate = config.schedule(
            config.learning_rate, config.learning_rate_end, passed / config.epochs
        )
        return rate * warm_up(passed, config.warmup_epochs)

    def drop_path(self, epoch: int) -> float:
        """Grows linearly by epochs, from 0 (DARTS)."""
        return self.config.drop_path * epoch / self.config.epochs

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self.task.training_loss(outputs, labels, self.config.label_smoothing)

    def step(self, epoch: int, step: int) -> tuple[float, list[float], int]:
        """One SGD step; the loss without the auxiliary head's, the task's sums, images.

        Raises:
            NonFiniteError: the loss or its gradient is not finite. The weights are as they were,
                unless numbers are left on the device until a step's end.
        """
        set_rate(self.optimizer, self.learning_rate(epoch, step))
        batch, drop_path = self.batches.at(epoch, step), self.drop_path(epoch)
        self.network.train()

        def update(batch: Batch) -> Tensor:
            return self._update(batch, drop_path)

        with seeded(derive_seed(self.config.seed, "drop-path", epoch, step), self.device):
            if self.reads_nothing:
                packed = self.capturing(update, batch, same=drop_path)
            else:
                packed = update(batch)
        whole_loss, length, loss, *own = packed.tolist()
        if self.reads_nothing:
            _require_finite(whole_loss)
            require_finite_norm(length)
        *sums, count = self.ranks.sums(*own, len(batch.labels))
        return loss, sums, int(count)

    def _update(self, batch: Batch, drop_path: float) -> Tensor:
        """One SGD step: [loss with the auxiliary head's, gradient norm, loss, task's sums ...]."""
        config, labels = self.config, batch.labels
        with self.precision.autocast():
            output = self.trained(batch.images, drop_path)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        loss = self.loss(logits, labels)
        total = loss
        if auxiliary is not None:
            total = loss + config.auxiliary_weight * self.loss(auxiliary, labels)
        whole_loss = self.ranks.mean(total)
        if not leaving():
            _require_finite(read(whole_loss))
        torch.autograd.backward(self.precision.scaler.scale(total))
        self.ranks.average_gradients(self.network.parameters())
        _, length = self.precision.step(self.optimizer, config.clip)
        numbers = (whole_loss, length, self.ranks.mean(loss))
        with torch.no_grad():
            sums = self.task.sums(widened(logits), labels)
        each = [torch.as_tensor(x).to(whole_loss.device, torch.float64) for x in numbers]
        return torch.cat([torch.stack(each), sums])

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """The network on images, by its running statistics."""
        self.network.eval()
        with same_draws(self.device):
            return evaluate(self.network, batches, self.ranks, self.task)

    def test(self) -> Evaluation:
        return self.evaluate(
            in_order(
                self.data.test, self.data.normalisation, self.config.batch_size, self.ranks.shard
            )
        )

    def saved(self, test: Evaluation) -> SavedNetwork:
        """The network as it is used afterwards, without its auxiliary head."""
        weights = {
            name: value.contiguous().cpu()
            for name, value in self.network.state_dict().items()
            if not name.startswith("auxiliary_head.")
        }
        return SavedNetwork.trained(self.blueprint, weights, self.data, to_json(self.config), test)

    def state(self) -> State:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state(),
            "totals": asdict(self.totals),
            "wall_seconds": self.wall_seconds,
        }

    def restore(self, state: State) -> None:
        """Put a state in place."""
        self.network.load_state_dict(state["network"])
        restore(self.optimizer, state["optimizer"])
        self.capturing.forget()
        self.precision.restore(state["precision"])
        self.totals = Totals(**state["totals"])
        self.wall_seconds = state["wall_seconds"]


def _require_finite(loss: float) -> None:
    if not loss < float("inf"):
        raise NonFiniteError(f"the loss is {loss}.")
