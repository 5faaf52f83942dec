"""Options that several commands share."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

from bilevel.estimators import Estimator
from darts.config.compute import Precision


def _usual_loggers() -> tuple[str, ...]:
    """TensorBoard's, if it is installed."""
    return ("tensorboard",) if find_spec("tensorboard") else ()


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which images are wanted, and where they are.

    Args:
        dataset: images: digits, cifar10, cifar100, mnist, fashion-mnist, imagenet (photographs in
            a folder a class); by default the preset's, or the run's.
        data_root: folder that holds cifar-10-batches-py/, cifar-100-python/, MNIST/raw/,
            FashionMNIST/raw/, or ImageNet's train/ and val/.
        train_size: stratified subset of the training images; by default the preset's.
        test_size: the same of the test images; digits have no such option.
        download: fetch the images if they are not in the data root; not ImageNet.
        image_size: side in pixels of what networks see: of ImageNet's photographs a crop of that
            size, by default 224; other sets are averaged to a smaller side, by default their own.
        workers: threads that read photographs ahead; by default one for each CPU.
    """

    dataset: str | None = None
    data_root: str | None = None
    train_size: int | None = None
    test_size: int | None = None
    download: bool = False
    image_size: int | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Options(DataOptions):
    """What every run takes.

    Args:
        preset: named config to begin with: digits; the paper's, cifar10-s1-all-edges (§4.1.1),
            cifar10-s1-consistent (Table 1, S1), cifar10-s2 (Table 1, S2); cifar10-s1 and
            cifar100-s1, fixed edges alone; cifar10-s1-tiny (15 minutes on two cores; cifar100-,
            mnist- and fashion-mnist-s1-tiny likewise); digits-check, cifar10-s1-check (a minute);
            imagenet-mobile, imagenet-check (a minute), which train a genotype;
            cifar10-robust-s1 to cifar10-robust-s4;
            nasbench201, nasbench201-tiny; and cifar10- before darts-first-order,
            darts-second-order, snas, gdas, proxylessnas, pc-darts, p-darts, darts-plus,
            robust-darts, sdarts-rs, sdarts-adv, darts-minus.
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
        estimator: of the hypergradient: exact, first-order, identity:eta=0.1,
            darts-second-order[:xi=0.025], amended[:eta=0.1], neumann, landweber,
            conjugate-gradient, minres, nystrom:rank=10,damping=0.1, unrolled:steps=2,lr=0.025,
            penalty:strength=1,steps=2,lr=0.025, certified[:cosine=0.99]. All but the first-order
            and penalty ones take derivatives=reverse-over-forward, autograd, central-difference, or
            difference_step=0.01; see docs/METHODS.md.
        space: s1 (DARTS's 14 edges), s1-fixed (the paper's S1), s2 (s2:cells=N for N cells),
            robust-s1 to robust-s4, nasbench201, s1-fixed-adjacent or s2-adjacent (docs/METHODS.md),
            or one that a script has registered. It needs fitting --search.cells: 20 in s2, 15 in
            nasbench201.
        accuracy_table: file of NAS-Bench-201's true accuracies (CSV, or .csv.gz), by which a search
            in that space is scored after every epoch; by default
            $DARTS_DATA_DIR/nas_tables/nasbench201.csv.gz, if it is there.
    """

    estimator: Estimator | None = None
    space: str | None = None
    accuracy_table: str | None = None
