"""InfoNCE of what lies about the centre of a frame, where gaze mostly is: a stand-in for looking at things."""

from __future__ import annotations

import dataclasses

from semanticcmc.config import AboveZero
from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig
from semanticcmc.training.views import View


@dataclasses.dataclass(frozen=True)
class CentralViewConfig(InfoNCEConfig):
    """And the share of a frame's sides, about its centre, that crops come from."""

    centre: AboveZero


class CentralView(InfoNCE):
    """`info_nce` whose crops come from the centre of frames; tests see whole stimuli, as of every network."""

    Config = CentralViewConfig  # type: ignore[assignment]
    config: CentralViewConfig

    @property
    def views(self) -> tuple[View, ...]:  # type: ignore[override]
        return tuple(dataclasses.replace(view, centre=self.config.centre) for view in super().views)
