"""The student that comes with this package: heads on a frozen SevenNet model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atomistic.committee import HeadFeatures, HeadOptions, load_heads, train_heads
from atomistic.labelled import LabelledFrame
from atomistic.potentials.base import Potential


class HeadStudent:
    """Teaches a committee of heads in closed form; features of frames seen before are not computed again.

    Held-out frames put the members' disagreement on the scale of their errors, and teach nothing.

    Args:
        features: the backbone and its cache. A cache on disk lets a resumed loop train as quickly as one that was not
            interrupted.
        options: how heads are trained.
    """

    suffix = ".npz"

    def __init__(self, features: HeadFeatures, *, options: HeadOptions | None = None) -> None:
        self.features, self.options = features, options or HeadOptions()

    def train(self, frames: Sequence[LabelledFrame], *, held_out: Sequence[LabelledFrame] = ()) -> Potential:
        """Train from nothing.

        Raises:
            CommitteeError: fewer than two frames, labels missing or not finite.
            UnknownElementError: the backbone does not know an element.
        """
        return train_heads(frames, self.features, options=self.options, held_out=held_out)

    def save(self, potential: Potential, path: Path) -> None:
        """Write the heads; their backbone is named in the file.

        Raises:
            CommitteeError: no heads.
        """
        potential.calculator.save(path)

    def load(self, path: Path) -> Potential:
        """Return heads that were saved, on this student's backbone.

        Raises:
            ModelFileError: the file is damaged, or belongs to another backbone.
        """
        return load_heads(path, backbone=self.features.backbone)
