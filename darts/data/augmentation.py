"""Random shifts, mirroring and Cutout, each as one tensor operation on the whole batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from darts.spaces.joint_draws import WHOLE, Shard


@dataclass(frozen=True)
class Augmentation:
    """The changes of a training batch, in DARTS's order: crop, mirror, normalise, Cutout.

    Random numbers come from a CPU generator, so that every device sees the same ones. They are
    drawn for the whole of a batch; a process that has a `shard` of it keeps those of its rows.

    Args:
        padding: black border in pixels before a crop of the old size, which shifts the image by up
            to as much in each direction.
        mirror: flip left and right with probability 1/2.
        cutout: side in pixels of a square set to 0, the mean; its centre is uniform over the image
            and the square is clipped at the border (DeVries & Taylor, 2017). 0 is none.
    """

    padding: int = 4
    mirror: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, value in (("padding", self.padding), ("cutout", self.cutout)):
            if value < 0:
                raise ValueError(f"Augmentation({name}={value}): pixels cannot be negative.")

    def move(self, images: Tensor, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """Shift and mirror raw images [b c h w]."""
        b, _, h, w = images.shape
        device, p = images.device, self.padding
        rows = torch.arange(h).expand(b, h)
        columns = torch.arange(w).expand(b, w)
        if p:
            shift = torch.randint(0, 2 * p + 1, (2, b * shard.count, 1), generator=generator)
            if h == 1:  # a signal: shifted along its length alone
                shift[0] = p
            rows, columns = rows + shard.rows(shift[0]), columns + shard.rows(shift[1])
            images = torch.nn.functional.pad(images, (p, p, p, p))
        if self.mirror:
            flip = torch.randint(0, 2, (b * shard.count, 1), generator=generator).bool()
            columns = torch.where(shard.rows(flip), columns.flip(1), columns)
        sample = torch.arange(b, device=device)[:, None, None]
        moved = images.permute(0, 2, 3, 1)[
            sample, rows.to(device)[:, :, None], columns.to(device)[:, None, :]
        ]
        return moved.permute(0, 3, 1, 2).contiguous()

    def erase(self, images: Tensor, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """Cutout on normalised images [b c h w]."""
        if not self.cutout:
            return images
        b, _, h, w = images.shape
        reach = self.cutout // 2
        y = shard.rows(torch.randint(0, h, (b * shard.count, 1), generator=generator))
        x = shard.rows(torch.randint(0, w, (b * shard.count, 1), generator=generator))
        inside_rows = self._inside(torch.arange(h), y, reach)
        inside_columns = self._inside(torch.arange(w), x, reach)
        hole = (inside_rows[:, :, None] & inside_columns[:, None, :]).unsqueeze(1)
        return images.masked_fill(hole.to(images.device), 0.0)

    def _inside(self, positions: Tensor, centre: Tensor, reach: int) -> Tensor:
        return (positions >= centre - reach) & (positions < centre - reach + self.cutout)


UNCHANGED = Augmentation(padding=0, mirror=False, cutout=0)
