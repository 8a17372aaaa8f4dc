"""Sound: whether a frame and a sound are of one moment, or a lag apart."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from semanticcmc.config import Count, InputError, Positive, Rule, Section
from semanticcmc.films.sound import Sounds
from semanticcmc.films.soundtrack import SOUND_HZ
from semanticcmc.training.networks import Encoder
from semanticcmc.training.objectives.base import Objective, all_samples, seeded
from semanticcmc.training.pairings import Draw, Fixed
from semanticcmc.training.views import View

WINDOW = 512  # samples of a window of the spectrogram (32 ms), which overlap by half
FLOOR = 1e-6  # power added before the logarithm: about that of 16 bits' rounding
STEEP = 4.0  # at first, of the logistic function of distance


@dataclasses.dataclass(frozen=True)
class SoundConfig(Section):
    """The task; how far apart synchronisation's other sounds are at least (s); seconds of a sound; the sound encoder.

    Correspondence has no `apart_s` (null). The sound encoder sees so many mel `bands`, and has `channels`, twice and
    four times as many in its three layers.
    """

    task: Literal["correspondence", "synchronisation"]
    apart_s: Positive | None
    seconds: Annotated[float, Rule("0.1 to 60", lambda value: 0.1 <= value <= 60)]
    bands: Annotated[int, Rule("8 to 64", lambda value: 8 <= value <= 64)]
    channels: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.apart_s is None) != (self.task == "correspondence"):
            raise ValueError(f"apart_s {self.apart_s}: a number in the task synchronisation, null in correspondence")

    @property
    def images(self) -> int:
        """Frames of a sample."""
        return 1


class Sound(Objective):
    r"""Audio-visual correspondence (Arandjelovic & Zisserman 2017), by distance (2018), or synchronisation.

    With L2-normalised embeddings x of a frame, y of the sound about its moment (with a lag: about the moment a lag
    later) and y' of another sound, the loss is the mean over samples of

    .. math:: -\tfrac12 \left( \log \sigma(b - a |x - y|) + \log(1 - \sigma(b - a |x - y'|)) \right)

    where a and b are learned. The other sound is of another film (correspondence), or of the same film, at least
    ``apart_s`` from the frame's own (synchronisation; Korbar et al. 2018, 2 s). Sounds are those of `films.sound`.
    """

    Config = SoundConfig
    config: SoundConfig
    views = (View(0),)

    def __init__(self, config: SoundConfig, encoder: Encoder, pairing: Fixed, seed: int) -> None:
        super().__init__(config, encoder, pairing, seed)
        self.sounds = Sounds(pairing.folder / "frames", pairing.index)
        film, axis = pairing.pairs.film, pairing.pairs.axis
        ends = torch.bincount(film).cumsum(0)
        if config.apart_s is None and len(ends) == 1:
            raise InputError("task correspondence: only one film has frames; take synchronisation")
        spans = axis[ends - 1] - axis[ends - torch.bincount(film)]
        if config.apart_s is not None and spans.min() < 2 * config.apart_s:
            raise InputError(f"apart_s {config.apart_s:g}: a film spans {spans.min():g} s; take at most half of it")
        size: int = encoder.config.embedding_dim  # type: ignore[union-attr, assignment]
        self.listener = seeded(seed, lambda: listener(config, size))
        self.slope = nn.Parameter(torch.tensor(STEEP))
        self.offset = nn.Parameter(torch.tensor(STEEP * math.sqrt(2)))  # at first .5 for embeddings at right angles
        self.right = torch.zeros(())

    @classmethod
    def chance(cls, config: SoundConfig, samples: int) -> float | None:
        return math.log(2)

    def draw(self, n: int, generator: torch.Generator) -> Draw:
        """A frame a sample; targets are the rows of the frames at whose moments its own and the other sound are."""
        draw, film, axis = super().draw(n, generator), self.pairing.pairs.film, self.pairing.pairs.axis
        own = draw.rows[:, -1]
        begin, end = (torch.searchsorted(film, draw.film, right=right) for right in (False, True))
        if self.config.apart_s is None:
            first, near, far, last = torch.zeros_like(begin), begin, end, torch.full_like(end, len(film))
        else:
            reach_s = self.config.apart_s - 1e-6
            near = torch.searchsorted(axis, axis[own] - reach_s).clamp(min=begin)
            first, far, last = begin, torch.searchsorted(axis, axis[own] + reach_s).clamp(max=end), end
        share = torch.rand(n, generator=generator, dtype=torch.float64)
        other = first + (share * (near - first + last - far)).long()  # any from first to last but near to far
        other = torch.where(other < near, other, other + far - near)
        return draw._replace(targets=torch.stack((own, other), dim=1))

    def forward(self, images: tuple[Tensor, ...], draw: Draw) -> Tensor:
        (frames,) = self.embed(*images)
        heard = self.sounds.around(draw.targets.T.flatten().cpu(), self.config.seconds).to(frames.device)
        sounds = functional.normalize(self.listener(log_mel(heard, self.config.bands)[:, None]), dim=1)
        _, frames, own, other = all_samples(draw, frames, *sounds.chunk(2))
        return self.loss(frames, own, other)

    def loss(self, frames: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """Loss, in nats, of the embeddings (B, d) of frames, of their own and of the other sounds."""
        same, not_same = (self.offset - self.slope * (frames - sounds).norm(dim=1) for sounds in (own, other))
        self.right = torch.cat((same > 0, not_same < 0)).float().mean()
        return functional.softplus(torch.cat((-same, not_same))).mean()

    def measures(self) -> dict[str, float]:
        return {"right": self.right.item()}


def listener(config: SoundConfig, size: int) -> nn.Module:
    """Encoder of spectrograms (n, 1, bands, t): convolutions, the greatest over time, a linear layer."""
    channels = [1, config.channels, 2 * config.channels, 4 * config.channels]
    layers: list[nn.Module] = [nn.BatchNorm2d(1)]
    for before, after in itertools.pairwise(channels):
        conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU(True)]
    bands = -(-config.bands // 8)
    pool = nn.AdaptiveMaxPool2d((bands, 1))  # bands keep their place: pitch tells sounds apart
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(channels[-1] * bands, size))


def log_mel(sounds: Tensor, bands: int) -> Tensor:
    """Log of the power in mel bands, float32 (n, bands, t), of sounds, int16 (n, samples)."""
    window = torch.hann_window(WINDOW, device=sounds.device)
    spectra = torch.stft(sounds.float() / 2**15, WINDOW, WINDOW // 2, window=window, return_complex=True)
    return (mel_filters(bands).to(sounds.device) @ spectra.abs().square() + FLOOR).log()


def mel_filters(bands: int) -> Tensor:
    """Triangles over frequency, evenly spaced on the mel scale, each 0 where its neighbours are 1: (bands, bins)."""
    top = math.log1p(SOUND_HZ / 2 / 700)
    edges = 700 * torch.expm1(torch.linspace(0, top, bands + 2))[:, None]
    hz = torch.linspace(0, SOUND_HZ / 2, WINDOW // 2 + 1)
    rise, fall = ((hz - edges[:-2]) / edges[:-1].diff(dim=0)), ((edges[2:] - hz) / edges[1:].diff(dim=0))
    return torch.minimum(rise, fall).clamp(min=0)
