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
        dataset: data set: digits, cifar10, cifar100, mnist, fashion-mnist; folder, your own images
            in a folder a class or listed in a CSV file (docs/OWN_DATA.md); imagenet, an image
            folder too large for memory; or one that a script has registered. By default the
            preset's, or the run's.
        data_root: folder that holds cifar-10-batches-py/, cifar-100-python/, MNIST/raw/,
            FashionMNIST/raw/, ImageNet's train/ and val/, or your own images; or a CSV file.
        train_size: number of training images, a stratified subset; by default the preset's.
        test_size: number of test images, a stratified subset; not of digits.
        download: download of images that are not in the data root; not of ImageNet.
        image_size: side in pixels of the images that networks see. ImageNet's are cropped to it
            (by default 224), a folder's scaled and cut to the middle, others averaged to a
            smaller side. By default their own.
        readers: number of threads that decode and prefetch images of imagenet; by default one for
            each CPU.
        task: kind of labels of a folder: classification, regression, multi-label
            (docs/OWN_DATA.md).
        test_share: share of a folder's images set aside for testing, between 0 and 1, where it has
            no test set.
        mirror: random mirroring of a folder's images in training; by default of images in colour,
            unless classes are single letters or digits.
        crop: random shifts of a folder's images in training, by --search.padding and
            --retrain.padding pixels.
        colour: random changes of a folder's images in brightness, contrast, saturation and hue.
        mean: mean of a folder's images for their normalisation, one number a channel, in units of
            the largest value (0 to 1) where they have 8 bits; measured by default.
        std: standard deviation of a folder's images, in the form of --mean.
    """

    dataset: str | None = None
    data_root: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    download: bool = False
    image_size: int | None = None
    readers: int | None = None
    task: TaskName | None = None
    test_share: float | None = None
    mirror: Literal["yes", "no"] | None = None
    crop: Literal["yes", "no"] | None = None
    colour: Literal["yes", "no"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Options(DataOptions):
    """Options of every run.

    Args:
        preset: name of the settings to begin with, by default digits; `darts presets` lists them.
        seed: seed of the run, 0 in every preset; which images are for training and which for
            testing does not depend on it.
        seeds: number of runs, with the seeds seed, seed + 1, ...; a summary then has mean and
            deviation.
        run_dir: folder to write; by default runs/<preset>-<seed>-<time>.
        resume: run folder to go on with. Its config holds; only the place of the images and the
            device may be given.
        device: device to compute on: cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
        devices: number of processes on this machine that share every batch, one a GPU where there
            are GPUs; auto is the number of GPUs. docs/DEVICES.md tells of torchrun and SLURM.
        nodes: number of machines, each with --devices processes.
        group_timeout: seconds after which a process that does not answer, or does not start, is
            taken for dead.
        precision: number format of the weights' steps in search and retraining: 32 is float32;
            bf16 and fp16 are autocast. Curvature products and evaluations are float32 in any case.
        compile: compilation of retraining's network by torch.compile.
        checkpoint_activations: recomputation of the supernet's cells for gradients instead of
            keeping them: less memory, more time.
        capture: replay of steps on a GPU as one captured graph, where that can be done
            (docs/DEVICES.md).
        threads: number of PyTorch's threads on the CPU; 0 is PyTorch's own choice. By default 1:
            small networks gain nothing from more, lose much where other work holds a core, and
            their bits depend on the number.
        loggers: trackers that follow the run, instead of TensorBoard's event files, which are
            written where TensorBoard is installed: tensorboard, csv, or module:function for a
            function that makes a Lightning Fabric logger from the run's folder.
        dry_run: estimate of the run from some steps of each kind of work on real batches; nothing
            is written (docs/DRY_RUN.md).
        dry_run_memory: memory in GiB that a dry run may take; by default nine tenths of the free
            memory.
        dry_run_images: most images in a batch of a dry run; by default the run's batch, as far as
            the memory allows.
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
    """Further options of a run with a search.

    Args:
        accuracy_table: file of NAS-Bench-201's true accuracies (CSV, or .csv.gz), which scores a
            search in that space after every epoch; by default
            $DARTS_DATA_DIR/nas_tables/nasbench201.csv.gz, if it is there.
        latency_table: file that darts measure wrote; --search.target then counts milliseconds
            instead of multiply-adds (docs/TARGETS.md).
    """

    accuracy_table: str | None = None
    latency_table: str | None = None
