"""Published genotypes, as typed in their sources, with the size of their networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from darts.spaces.genotype import CellGenotype, Edge, Genotype


@dataclass(frozen=True)
class Size:
    """Counts of a derived network, in millions, as published or counted by the original code.

    Args:
        params_millions: parameters at test time.
        params_with_auxiliary_millions: parameters with the auxiliary head.
        multiply_adds_millions: multiply-adds of convolutions and linear layers, for one image.
        params_100_classes_millions: parameters at test time with 100 classes, where known.
    """

    params_millions: float
    params_with_auxiliary_millions: float
    multiply_adds_millions: float
    params_100_classes_millions: float | None = None


@dataclass(frozen=True)
class Published:
    """A genotype from the literature.

    Args:
        genotype: the cells.
        source: the file that it was read from.
        note: a warning to read before comparing with it.
        cifar: size with 36 channels, 20 cells, 10 classes, 32×32 images.
        imagenet: size with 48 channels, 14 cells, 1000 classes, 224×224 images.
    """

    genotype: Genotype
    source: str
    note: str = ""
    cifar: Size | None = None
    imagenet: Size | None = None


def _cell(kind: str, edges: str, concat: tuple[int, ...]) -> CellGenotype:
    """`edges` is "operation<source", separated by spaces, two a node."""

    def edge(text: str) -> Edge:
        operation, source = text.split("<")
        return operation, int(source)

    return CellGenotype(kind, tuple(edge(text) for text in edges.split()), concat)


def _genotype(
    *,
    normal: str,
    reduce: str,
    normal_concat: tuple[int, ...] = (2, 3, 4, 5),
    reduce_concat: tuple[int, ...] = (2, 3, 4, 5),
) -> Genotype:
    return Genotype(
        (_cell("normal", normal, normal_concat), _cell("reduce", reduce, reduce_concat))
    )


_BY_NAME = {
    "NASNet": Published(
        _genotype(
            normal="sep_conv_5x5<1 sep_conv_3x3<0 sep_conv_5x5<0 sep_conv_3x3<0 "
            "avg_pool_3x3<1 skip_connect<0 avg_pool_3x3<0 avg_pool_3x3<0 "
            "sep_conv_3x3<1 skip_connect<1",
            reduce="sep_conv_5x5<1 sep_conv_7x7<0 max_pool_3x3<1 sep_conv_7x7<0 "
            "avg_pool_3x3<1 sep_conv_5x5<0 skip_connect<3 avg_pool_3x3<2 "
            "sep_conv_3x3<2 max_pool_3x3<1",
            normal_concat=(2, 3, 4, 5, 6),
            reduce_concat=(4, 5, 6),
        ),
        source="quark0/darts cnn/genotypes.py",
        cifar=Size(3.83095, 4.288944, 603.452, 3.89584),
        imagenet=Size(5.56432, 6.80052, 604.032),
    ),
    "AmoebaNet": Published(
        _genotype(
            normal="avg_pool_3x3<0 max_pool_3x3<1 sep_conv_3x3<0 sep_conv_5x5<2 "
            "sep_conv_3x3<0 avg_pool_3x3<3 sep_conv_3x3<1 skip_connect<1 "
            "skip_connect<0 avg_pool_3x3<1",
            reduce="avg_pool_3x3<0 sep_conv_3x3<1 max_pool_3x3<0 sep_conv_7x7<2 "
            "sep_conv_7x7<0 avg_pool_3x3<1 max_pool_3x3<0 max_pool_3x3<1 "
            "conv_7x1_1x7<0 sep_conv_3x3<5",
            normal_concat=(4, 5, 6),
            reduce_concat=(3, 4, 6),
        ),
        source="quark0/darts cnn/genotypes.py",
        cifar=Size(3.145078, 3.603072, 488.932, 3.184048),
        imagenet=Size(4.62736, 5.86356, 526.747),
    ),
    "DARTS_V1": Published(
        _genotype(
            normal="sep_conv_3x3<1 sep_conv_3x3<0 skip_connect<0 sep_conv_3x3<1 "
            "skip_connect<0 sep_conv_3x3<1 sep_conv_3x3<0 skip_connect<2",
            reduce="max_pool_3x3<0 max_pool_3x3<1 skip_connect<2 max_pool_3x3<0 "
            "max_pool_3x3<0 skip_connect<2 skip_connect<2 avg_pool_3x3<0",
        ),
        source="quark0/darts cnn/genotypes.py",
        cifar=Size(3.169414, 3.64584, 500.988, 3.221344),
        imagenet=Size(4.510432, 5.771208, 505.865),
    ),
    "DARTS_V2": Published(
        _genotype(
            normal="sep_conv_3x3<0 sep_conv_3x3<1 sep_conv_3x3<0 sep_conv_3x3<1 "
            "sep_conv_3x3<1 skip_connect<0 skip_connect<0 dil_conv_3x3<2",
            reduce="max_pool_3x3<0 max_pool_3x3<1 skip_connect<2 max_pool_3x3<1 "
            "max_pool_3x3<0 skip_connect<2 skip_connect<2 max_pool_3x3<1",
        ),
        source="quark0/darts cnn/genotypes.py",
        cifar=Size(3.349342, 3.825768, 528.359, 3.401272),
        imagenet=Size(4.718752, 5.979528, 529.912),
    ),
    "PC_DARTS_cifar": Published(
        _genotype(
            normal="sep_conv_3x3<1 skip_connect<0 sep_conv_3x3<0 dil_conv_3x3<1 "
            "sep_conv_5x5<0 sep_conv_3x3<1 avg_pool_3x3<0 dil_conv_3x3<1",
            reduce="sep_conv_5x5<1 max_pool_3x3<0 sep_conv_5x5<1 sep_conv_5x5<2 "
            "sep_conv_3x3<0 sep_conv_3x3<3 sep_conv_3x3<1 sep_conv_3x3<2",
        ),
        source="yuhuixu1993/PC-DARTS genotypes.py",
        cifar=Size(3.634678, 4.111104, 556.671, 3.686608),
        imagenet=Size(5.27056, 6.531336, 571.137),
    ),
    "PC_DARTS_image": Published(
        _genotype(
            normal="skip_connect<1 sep_conv_3x3<0 sep_conv_3x3<0 skip_connect<1 "
            "sep_conv_3x3<1 sep_conv_3x3<3 sep_conv_3x3<1 dil_conv_5x5<4",
            reduce="sep_conv_3x3<0 skip_connect<1 dil_conv_5x5<2 max_pool_3x3<1 "
            "sep_conv_3x3<2 sep_conv_3x3<1 sep_conv_5x5<0 sep_conv_3x3<3",
        ),
        source="yuhuixu1993/PC-DARTS genotypes.py",
    ),
    "PDARTS": Published(
        _genotype(
            normal="skip_connect<0 dil_conv_3x3<1 skip_connect<0 sep_conv_3x3<1 "
            "sep_conv_3x3<1 sep_conv_3x3<3 sep_conv_3x3<0 dil_conv_5x5<4",
            reduce="avg_pool_3x3<0 sep_conv_5x5<1 sep_conv_3x3<0 dil_conv_5x5<2 "
            "max_pool_3x3<0 dil_conv_3x3<1 dil_conv_3x3<1 dil_conv_5x5<3",
        ),
        source="chenxin061/pdarts genotypes.py",
        cifar=Size(3.433798, 3.910224, 532.174, 3.485728),
        imagenet=Size(4.944352, 6.205128, 542.819),
    ),
    "SNAS_mild": Published(
        _genotype(
            normal="sep_conv_3x3<0 sep_conv_3x3<1 skip_connect<0 dil_conv_3x3<1 "
            "skip_connect<0 skip_connect<1 skip_connect<0 sep_conv_3x3<1",
            reduce="max_pool_3x3<0 max_pool_3x3<1 max_pool_3x3<1 skip_connect<2 "
            "max_pool_3x3<1 skip_connect<2 max_pool_3x3<0 dil_conv_5x5<2",
        ),
        source="SNAS-Series/SNAS-Series SNAS/genotypes.py @dea7943",
        cifar=Size(2.661382, 3.137808, 422.218, 2.713312),
        imagenet=Size(3.939328, 5.200104, 438.042),
    ),
    "SNAS_moderate": Published(
        _genotype(
            normal="dil_conv_5x5<0 skip_connect<1 sep_conv_3x3<0 skip_connect<1 "
            "skip_connect<0 skip_connect<1 sep_conv_3x3<0 dil_conv_5x5<1",
            reduce="max_pool_3x3<0 max_pool_3x3<1 sep_conv_5x5<0 dil_conv_5x5<1 "
            "sep_conv_5x5<0 sep_conv_5x5<1 sep_conv_5x5<0 sep_conv_5x5<1",
        ),
        source="SNAS-Series/SNAS-Series SNAS/genotypes.py @dea7943",
    ),
    "SNAS_aggressive": Published(
        _genotype(
            normal="sep_conv_5x5<0 skip_connect<1 skip_connect<0 skip_connect<1 "
            "dil_conv_5x5<1 skip_connect<0 skip_connect<0 dil_conv_5x5<1",
            reduce="sep_conv_5x5<0 none<1 sep_conv_5x5<0 none<1 none<1 none<0 none<1 none<0",
        ),
        source="SNAS-Series/SNAS-Series SNAS/genotypes.py @dea7943",
        note="needs the 'none' op kept in the discrete net",
    ),
    "ENAS_trojanzoo": Published(
        _genotype(
            normal="sep_conv_3x3<1 skip_connect<1 sep_conv_5x5<1 skip_connect<0 "
            "avg_pool_3x3<0 sep_conv_3x3<1 sep_conv_3x3<0 avg_pool_3x3<1 "
            "sep_conv_5x5<1 avg_pool_3x3<0",
            reduce="sep_conv_5x5<0 avg_pool_3x3<1 sep_conv_3x3<1 avg_pool_3x3<1 "
            "sep_conv_3x3<1 avg_pool_3x3<1 sep_conv_5x5<4 avg_pool_3x3<1 "
            "sep_conv_3x3<5 sep_conv_5x5<0",
            normal_concat=(2, 3, 4, 5, 6),
            reduce_concat=(2, 3, 6),
        ),
        source="ain-soph/trojanzoo trojanvision/utils/model_archs/darts/genotypes.py "
        "@1bcebb7 (third party)",
        note="disagrees with ENAS_fairdarts in the reduction cell",
    ),
    "PNASNet": Published(
        _genotype(
            normal="sep_conv_5x5<0 max_pool_3x3<0 sep_conv_7x7<1 max_pool_3x3<1 "
            "sep_conv_5x5<1 sep_conv_3x3<1 sep_conv_3x3<4 max_pool_3x3<1 "
            "sep_conv_3x3<0 skip_connect<1",
            reduce="sep_conv_5x5<0 max_pool_3x3<0 sep_conv_7x7<1 max_pool_3x3<1 "
            "sep_conv_5x5<1 sep_conv_3x3<1 sep_conv_3x3<4 max_pool_3x3<1 "
            "sep_conv_3x3<0 skip_connect<1",
            normal_concat=(2, 3, 4, 5, 6),
            reduce_concat=(2, 3, 4, 5, 6),
        ),
        source="facebookresearch/unnas pycls/models/nas/genotypes.py @2277ab7; same in "
        "D-X-Y/AutoDL-Projects xautodl/nas_infer_model/DXYs/genotypes.py",
    ),
    "GDAS_V1": Published(
        _genotype(
            normal="skip_connect<0 skip_connect<1 skip_connect<0 sep_conv_5x5<2 "
            "sep_conv_3x3<3 skip_connect<0 sep_conv_5x5<4 sep_conv_3x3<3",
            reduce="sep_conv_5x5<0 sep_conv_3x3<1 sep_conv_5x5<2 sep_conv_5x5<1 "
            "dil_conv_5x5<2 sep_conv_3x3<1 sep_conv_5x5<0 sep_conv_5x5<1",
        ),
        source="D-X-Y/AutoDL-Projects xautodl/nas_infer_model/DXYs/genotypes.py",
        cifar=Size(3.368782, 3.845208, 519.429, 3.420712),
        imagenet=Size(4.969216, 6.229992, 537.598),
    ),
    "DARTS_PLUS_thirdparty": Published(
        _genotype(
            normal="skip_connect<0 sep_conv_5x5<1 sep_conv_3x3<0 sep_conv_5x5<1 "
            "skip_connect<0 sep_conv_3x3<1 sep_conv_3x3<0 sep_conv_3x3<1",
            reduce="max_pool_3x3<0 max_pool_3x3<1 max_pool_3x3<0 skip_connect<1 "
            "max_pool_3x3<0 skip_connect<2 skip_connect<2 skip_connect<3",
        ),
        source="third party; repository unknown",
        note="no official DARTS+ code found; which DARTS+ cell this is, is unverified",
    ),
    "DrNAS_cifar10": Published(
        _genotype(
            normal="sep_conv_3x3<0 sep_conv_5x5<1 sep_conv_3x3<1 sep_conv_3x3<2 "
            "skip_connect<0 sep_conv_3x3<1 sep_conv_3x3<2 dil_conv_5x5<3",
            reduce="max_pool_3x3<0 sep_conv_5x5<1 dil_conv_5x5<2 sep_conv_5x5<1 "
            "sep_conv_5x5<1 dil_conv_5x5<3 skip_connect<4 sep_conv_5x5<1",
        ),
        source="ain-soph/trojanzoo trojanvision/utils/model_archs/darts/genotypes.py "
        "@1bcebb7 (third party)",
    ),
    "DrNAS_imagenet": Published(
        _genotype(
            normal="sep_conv_3x3<1 sep_conv_3x3<0 sep_conv_3x3<0 sep_conv_3x3<1 "
            "sep_conv_3x3<0 dil_conv_3x3<3 skip_connect<0 sep_conv_3x3<1",
            reduce="max_pool_3x3<0 sep_conv_3x3<1 sep_conv_3x3<0 skip_connect<2 "
            "sep_conv_3x3<0 sep_conv_3x3<2 sep_conv_3x3<3 sep_conv_3x3<1",
        ),
        source="ain-soph/trojanzoo trojanvision/utils/model_archs/darts/genotypes.py "
        "@1bcebb7 (third party)",
    ),
    "SGAS": Published(
        _genotype(
            normal="sep_conv_3x3<0 dil_conv_3x3<1 sep_conv_3x3<0 sep_conv_3x3<1 "
            "sep_conv_5x5<1 sep_conv_5x5<3 skip_connect<0 dil_conv_5x5<2",
            reduce="max_pool_3x3<0 dil_conv_5x5<1 sep_conv_3x3<0 skip_connect<2 "
            "sep_conv_3x3<1 skip_connect<2 max_pool_3x3<0 max_pool_3x3<1",
        ),
        source="ain-soph/trojanzoo trojanvision/utils/model_archs/darts/genotypes.py "
        "@1bcebb7 (third party)",
    ),
    "MdeNAS": Published(
        _genotype(
            normal="sep_conv_5x5<1 sep_conv_3x3<0 skip_connect<0 sep_conv_5x5<1 "
            "sep_conv_5x5<3 sep_conv_3x3<1 dil_conv_5x5<3 max_pool_3x3<4",
            reduce="max_pool_3x3<0 sep_conv_5x5<1 skip_connect<0 skip_connect<1 "
            "sep_conv_3x3<3 skip_connect<2 dil_conv_3x3<3 sep_conv_5x5<0",
        ),
        source="FairDARTS genotypes.py (third party)",
        note="author comment there: 599M 3.78M",
    ),
    "SDARTS_c10_s5_random": Published(
        _genotype(
            normal="sep_conv_3x3<1 sep_conv_3x3<0 sep_conv_5x5<1 skip_connect<0 "
            "sep_conv_3x3<3 skip_connect<1 sep_conv_3x3<1 dil_conv_3x3<2",
            reduce="max_pool_3x3<0 sep_conv_3x3<1 skip_connect<2 max_pool_3x3<0 "
            "dil_conv_5x5<3 max_pool_3x3<0 sep_conv_3x3<2 sep_conv_5x5<3",
        ),
        source="xiangning-chen/SmoothDARTS sota/cnn/genotypes.py",
        note="S5 = full DARTS space",
    ),
    "SDARTS_c10_s5_pgd": Published(
        _genotype(
            normal="sep_conv_3x3<0 sep_conv_3x3<1 sep_conv_3x3<1 skip_connect<0 "
            "sep_conv_5x5<0 dil_conv_3x3<3 dil_conv_3x3<4 skip_connect<0",
            reduce="max_pool_3x3<0 sep_conv_5x5<1 skip_connect<2 max_pool_3x3<0 "
            "skip_connect<3 skip_connect<2 skip_connect<2 sep_conv_5x5<4",
        ),
        source="xiangning-chen/SmoothDARTS sota/cnn/genotypes.py",
        note="S5 = full DARTS space",
    ),
    "R_DARTS_trojanzoo": Published(
        _genotype(
            normal="skip_connect<1 dil_conv_3x3<0 skip_connect<2 skip_connect<0 "
            "skip_connect<0 skip_connect<2 skip_connect<2 skip_connect<1",
            reduce="max_pool_3x3<1 max_pool_3x3<0 skip_connect<2 max_pool_3x3<1 "
            "skip_connect<2 max_pool_3x3<0 max_pool_3x3<0 max_pool_3x3<1",
        ),
        source="ain-soph/trojanzoo trojanvision/utils/model_archs/darts/genotypes.py "
        "@1bcebb7 (third party)",
    ),
}

PUBLISHED: Mapping[str, Published] = MappingProxyType(_BY_NAME)
"""By the name customary in the field."""

DARTS_V1 = PUBLISHED["DARTS_V1"].genotype
"""Found by DARTS with first-order gradients."""

DARTS_V2 = PUBLISHED["DARTS_V2"].genotype
"""Found by DARTS with second-order gradients."""
