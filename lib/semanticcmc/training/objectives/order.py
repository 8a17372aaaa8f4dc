"""What objectives over several frames of a film share: courses of frames, and questions about their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from semanticcmc.config import InputError, Section
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Objective
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class CourseConfig(Section):
    """Seconds from the first frame of a sample to each other one, rising."""

    after_s: tuple[float, ...]


class Course(Fixed):
    """The first frame and one at each of several times after it, all stretched by one factor 1 +- tolerance."""

    Config = CourseConfig

    @classmethod
    def of(cls, pairing: Fixed, after_s: Sequence[float]) -> Course:
        """Over the same films."""
        return cls(CourseConfig(tuple(after_s)), *pairing.made_of)

    @classmethod
    def run(cls, pairing: Fixed, frames: int) -> Course:
        """`frames` frames, each a lag after the one before; an InputError without a lag, or for another pairing."""
        if type(pairing) is not Fixed or not pairing.lag_s > 0:
            raise InputError(
                f"lag_s {pairing.lag_s:g}, pairing {type(pairing).__name__.lower()}: the objective draws runs of "
                "frames a lag apart; give the network lags_s, and no pairing"
            )
        return cls.of(pairing, [step * pairing.lag_s for step in range(1, frames)])

    @property
    def frames(self) -> int:  # type: ignore[override]
        return 1 + len(self.config.after_s)

    def reach(self) -> tuple[float, float]:
        least_s, most_s = self.config.after_s[0] * (1 - self.tolerance), self.config.after_s[-1] * (1 + self.tolerance)
        return (least_s + most_s) / 2, (most_s - least_s) / (most_s + least_s)

    def lags(self, n: int, generator: torch.Generator) -> list[Tensor]:
        u = 2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1
        return [seconds * (1 + self.tolerance * u) for seconds in self.config.after_s]


class Order(Objective):
    """A question about the order of frames that follow each other by a lag, answered by a head over their fc7.

    All frames of a sample have one crop, flip and distortion of colours: nothing moves but what the film shows.

    Parameters
    ----------
    seen : int
        Frames of a sample that the encoder sees.
    drawn : int
        Frames of a film that a sample is made of, each a lag after the one before.
    """

    uses_whole_encoder = False

    def __init__(self, config: Any, encoder: Encoder, pairing: Fixed, seed: int, seen: int, drawn: int) -> None:
        super().__init__(config, encoder, Course.run(pairing, drawn), seed)
        self.views = (View(0), *(View(frame, crop_of=0) for frame in range(1, seen)))
        self.units: int = encoder.config.fc_units[1]  # type: ignore[union-attr, index, assignment]
        self.right = torch.zeros(())

    def ordered(self, drawn: Draw, order: Tensor, answer: Tensor) -> Draw:
        """Samples of the frames of a run in `order`, int64 (n, seen), with the `answer` (n,) as their target."""
        at = {"rows": drawn.rows.gather(1, order), "time_s": drawn.time_s.gather(1, order)}
        return drawn._replace(**at, targets=answer[:, None])

    def features(self, images: tuple[Tensor, ...]) -> Tensor:
        """fc7 of each frame of this process's samples, (b, seen, units)."""
        (values,) = self.activations(torch.cat(images), "fc7")
        return values.unflatten(0, (len(images), -1)).transpose(0, 1)

    def answered(self, scores: Tensor, answers: Tensor) -> Tensor:
        """Cross-entropy, in nats, of scores (B, answers), or of one (B, 1) whether the answer is 1."""
        two = torch.cat((torch.zeros_like(scores), scores), dim=1) if scores.shape[1] == 1 else scores
        self.right = (two.detach().argmax(dim=1) == answers).float().mean()
        return functional.cross_entropy(two, answers)

    def measures(self) -> dict[str, float]:
        return {"right": self.right.item()}
