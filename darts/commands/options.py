"""Options that several commands share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from darts.config.compute import Precision
from darts.extras import installed
from darts.tasks import TaskName


def _usual_loggers() -> tuple[str, ...]:
    """TensorBoard's, if it is installed."""
    return ("tensorboard",) if installed("tensorboard") else ()


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which images are wanted, and where they are.

    Args:
        dataset: images: digits, cifar10, cifar100, mnist, fashion-mnist; folder, images of your
            own in a folder a class or listed in a CSV file (docs/OWN_DATA.md); imagenet (many
            photographs, read as they are asked for); or one that a script has registered. By
            default the preset's, or the run's.
        data_root: folder that holds cifar-10-batches-py/, cifar-100-python/, MNIST/raw/,
            FashionMNIST/raw/, ImageNet's train/ and val/, or your own images; or a CSV file.
        train_size: stratified subset of the training images; by default the preset's.
        test_size: the same of the test images; digits have no such option.
        download: fetch the images if they are not in the data root; not ImageNet.
        image_size: side in pixels of what networks see: of ImageNet's photographs a crop of that
            size, by default 224; a folder's are scaled, and the middle cut out; other sets are
            averaged to a smaller side. By default their own.
        workers: threads that read photographs ahead; by default one for each CPU.
        task: what labels of a folder are: classification, regression, multi-label
            (docs/OWN_DATA.md).
        test_share: of a folder's images, where it has no test set.
        mirror: whether a folder's images are mirrored at random in training; by default those in
            colour, unless classes are single letters or digits.
        crop: whether they are shifted at random, by the padding of search and retraining.
        colour: whether their brightness, contrast, saturation and hue are changed at random.
        mean: of their normalisation, one number a channel, values between 0 and 1 where they have
            8 bits; measured by default.
        std: its deviations, likewise.
    """

    dataset: str | None = None
    data_root: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    download: bool = False
    image_size: int | None = None
    workers: int | None = None
    task: TaskName | None = None
    test_share: float | None = None
    mirror: Literal["yes", "no"] | None = None
    crop: Literal["yes", "no"] | None = None
    colour: Literal["yes", "no"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Options(DataOptions):
    """What every run takes.

    Args:
        preset: named settings to begin with, by default digits; `darts presets` lists them.
        seed: of the run, 0 in every preset; the training and test images do not depend on it.
        seeds: runs with the seeds seed, seed + 1, ...; a summary then has mean and deviation.
        run_dir: folder to write; by default runs/<preset>-<seed>-<time>.
        resume: run folder to go on with. Its config holds; only where images are, and on what to
            compute, may be given.
        device: cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.
        devices: processes on this machine that share every batch, one a GPU where there are GPUs;
            auto is as many as there are GPUs. See docs/DEVICES.md, also on torchrun and SLURM.
        nodes: machines, each with so many processes.
        group_timeout: seconds after which a process that does not answer, or does not start, is
            taken for dead.
        precision: of the weights' steps in search and retraining. 32 is float32; bf16 and fp16
            are autocast. Curvature products and evaluations are float32 in any case.
        compile: retraining's network by torch.compile.
        checkpoint_activations: compute the supernet's cells again for gradients instead of
            keeping them: less memory, more time.
        capture: take steps on a GPU as one replayed graph, where that can be done;
            docs/DEVICES.md says where.
        threads: of PyTorch on the CPU. One by default: small networks gain nothing from more, lose
            much where other work holds a core, and their bits depend on the number. 0 leaves
            PyTorch's own choice.
        loggers: what follows the run beside its records, instead of TensorBoard's event files,
            which are written where TensorBoard is installed: tensorboard, csv, or module:function
            for a function that makes a Lightning Fabric logger from the run's folder.
        dry_run: build everything, do each kind of work a few times on batches of the images, print
            what the run would take, and write nothing. See docs/DRY_RUN.md.
        dry_run_memory: GiB that a dry run may take; by default nine tenths of what is free.
        dry_run_images: most images in its batches; by default as many as the run's have and the
            memory allows.
    """

    preset: str | None = None
    seed: int | None = None
    seeds: int = 1
    run_dir: Path | None = None
    resume: Path | None = None
    device: str = "auto"
    devices: int | Literal["auto"] = 1
    nodes: int = 1
    group_timeout: float = 1800
    precision: Precision = "32"
    compile: bool = False
    checkpoint_activations: bool = False
    capture: bool = False
    threads: int = 1
    loggers: tuple[str, ...] = field(default_factory=_usual_loggers)
    dry_run: bool = False
    dry_run_memory: float | None = None
    dry_run_images: int | None = None

    no_dry_run: ClassVar[str | None] = None
    """What to do instead, of a command that has no dry run."""


@dataclass(frozen=True)
class SearchOptions(Options):
    """What a run with a search takes besides.

    Args:
        accuracy_table: file of NAS-Bench-201's true accuracies (CSV, or .csv.gz), by which a search
            in that space is scored after every epoch; by default
            $DARTS_DATA_DIR/nas_tables/nasbench201.csv.gz, if it is there.
        latency_table: file that darts measure wrote; --search.target then counts milliseconds
            instead of multiply-adds (docs/TARGETS.md).
    """

    accuracy_table: str | None = None
    latency_table: str | None = None
