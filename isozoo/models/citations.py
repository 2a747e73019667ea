"""The papers that the networks are from, to be cited by whoever uses them."""

from __future__ import annotations

from typing import NamedTuple


class Paper(NamedTuple):
    """A paper, with its number at arXiv."""

    key: str
    title: str
    authors: str
    venue: str
    year: int
    arxiv: str

    @property
    def url(self) -> str:
        """The paper's page at arXiv."""
        return f"https://arxiv.org/abs/{self.arxiv}"

    def bibtex(self) -> str:
        """Return the paper as a BibTeX entry."""
        fields = {
            "title": f"{{{self.title}}}",
            "author": self.authors,
            "booktitle": self.venue,
            "year": str(self.year),
            "eprint": self.arxiv,
            "archiveprefix": "arXiv",
        }
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        return f"@inproceedings{{{self.key},\n{lines}}}"


ISOMETRIC = Paper(
    "qi2020isometric",
    "Deep Isometric Learning for Visual Recognition",
    "Qi, Haozhi and You, Chong and Wang, Xiaolong and Ma, Yi and Malik, Jitendra",
    "International Conference on Machine Learning (ICML)",
    2020,
    "2006.16992",
)
RESIDUAL = Paper(
    "he2016residual",
    "Deep Residual Learning for Image Recognition",
    "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
    "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
    2016,
    "1512.03385",
)
FIXUP = Paper(
    "zhang2019fixup",
    "Fixup Initialization: Residual Learning Without Normalization",
    "Zhang, Hongyi and Dauphin, Yann N. and Ma, Tengyu",
    "International Conference on Learning Representations (ICLR)",
    2019,
    "1901.09321",
)
GROUP = Paper(
    "wu2018group",
    "Group Normalization",
    "Wu, Yuxin and He, Kaiming",
    "European Conference on Computer Vision (ECCV)",
    2018,
    "1803.08494",
)
BATCH_INSTANCE = Paper(
    "nam2018batchinstance",
    "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks",
    "Nam, Hyeonseob and Kim, Hyo-Eun",
    "Advances in Neural Information Processing Systems (NeurIPS)",
    2018,
    "1805.07925",
)
VGG = Paper(
    "simonyan2015vgg",
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "Simonyan, Karen and Zisserman, Andrew",
    "International Conference on Learning Representations (ICLR)",
    2015,
    "1409.1556",
)
BATCH = Paper(
    "ioffe2015batch",
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "Ioffe, Sergey and Szegedy, Christian",
    "International Conference on Machine Learning (ICML)",
    2015,
    "1502.03167",
)

#: What to cite for a family; for those that are not here, the plain ones, the paper they are from.
PAPERS: dict[str, tuple[Paper, ...]] = {
    "resnet": (RESIDUAL,),
    "resnet-gn": (RESIDUAL, GROUP),
    "resnet-in": (RESIDUAL,),
    "resnet-ln": (RESIDUAL,),
    "resnet-bin": (RESIDUAL, BATCH_INSTANCE),
    "fixup": (FIXUP,),
    "vgg": (VGG,),
    "vgg-bn": (VGG, BATCH),
}


def papers(family: str) -> tuple[Paper, ...]:
    """Return what to cite for a network of a family.

    Args:
        family: Row of `isozoo.models.FAMILIES`.

    Example:
        >>> [paper.year for paper in papers("r-isonet")]
        [2020]
    """
    return PAPERS.get(family, (ISOMETRIC,))
