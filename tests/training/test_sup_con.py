"""SupCon against its written formula in float64; what is known of each frame against the tables it comes from."""

import math

import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from semanticcmc.config import InputError
from semanticcmc.training.moments import labels_of_frames, scenes_of_frames
from semanticcmc.training.objectives.sup_con import SupCon, SupConConfig
from tests.training.drawn import drawn, no_pairing

T = 0.2


@pytest.fixture
def folder(tmp_path):
    """Two films of six frames in scenes of two shots each; the last frame of film b is in no shot."""
    shots = [("a", 0, 1, 0), ("a", 1, 3, 0), ("a", 3, 6, 1), ("b", 0, 2, 0), ("b", 2, 5, 1)]
    (tmp_path / "world").mkdir()
    pd.DataFrame(shots, columns=["movie_id", "start_s", "stop_s", "scene"]).to_parquet(tmp_path / "world/shots.parquet")
    (tmp_path / "labels").mkdir()
    seen = [("a", 0.0, "dog"), ("a", 0.0, "tree"), ("a", 2.0, "tree"), ("b", 1.0, "dog"), ("b", 1.5, "car")]
    labels = pd.DataFrame(seen, columns=["movie_id", "time_s", "label"]).assign(confidence=90.0)
    labels.astype({"movie_id": "category", "label": "category"}).to_parquet(tmp_path / "labels/labels.parquet")
    times = pd.DataFrame({"movie_id": ["a", "b"], "start_s": 0.0, "interval_s": 0.5, "count": 12})
    times.to_parquet(tmp_path / "labels/label_times.parquet")
    return tmp_path


INDEX = pd.DataFrame({"movie_id": ["a"] * 6 + ["b"] * 6, "time_s": [*map(float, range(6))] * 2})


def test_scenes_and_labels_are_those_of_the_tables(folder):
    assert scenes_of_frames(INDEX, folder).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, -1]
    numbers, names = labels_of_frames(INDEX, folder)
    sets = [{names[i] for i in row if i < len(names)} for row in numbers.tolist()]
    none = set()
    assert sets == [{"dog", "tree"}, none, {"tree"}, none, none, none, none, {"dog"}, none, none, none, none]
    (folder / "world/shots.parquet").unlink()
    with pytest.raises(InputError, match=r"shots.parquet: missing; .*positives label"):
        scenes_of_frames(INDEX, folder)


@pytest.mark.parametrize("positives", ["scene", "label"])
def test_the_loss_is_the_written_formula(folder, positives):
    known = {  # frames that belong together, by hand
        "scene": [{0, 1, 2}, {3, 4, 5}, {6, 7}, {8, 9, 10}],
        "label": [{0, 2}, {0, 7}],
    }[positives]
    config = SupConConfig(T, positives)
    objective = SupCon(config, torch.nn.Identity(), no_pairing(index=INDEX, folder=folder), 0)
    rows = torch.tensor([0, 3, 2, 7, 11, 11, 4])
    draw = drawn(rows, torch.zeros(7, dtype=torch.int64), lag=0)
    values = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, second = normalize(values, dim=2)
    views, frames = torch.cat((first, second)).numpy(), [*rows.tolist()] * 2
    losses = []
    for i in range(14):
        others = [j for j in range(14) if j != i]
        alike = [j for j in others if frames[i] == frames[j] or any({frames[i], frames[j]} <= group for group in known)]
        total = sum(math.exp(views[i] @ views[j] / T) for j in others)
        losses.append(-sum(math.log(math.exp(views[i] @ views[p] / T) / total) for p in alike) / len(alike))
    assert objective.loss(first, second, draw).item() == pytest.approx(sum(losses) / 14, rel=1e-6)


def test_with_partners_as_the_only_positives_it_is_simclrs_loss(folder):
    """NT-Xent (Chen et al. 2020) as torch's cross-entropy of each view over all others."""
    objective = SupCon(SupConConfig(T, "label"), torch.nn.Identity(), no_pairing(index=INDEX, folder=folder), 0)
    rows = torch.tensor([1, 3, 4, 5])  # frames without labels
    first, second = normalize(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1)), dim=2)
    views = torch.cat((first, second))
    scores = (views @ views.T / T).fill_diagonal_(-torch.inf)
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(8).roll(4))
    found = objective.loss(first, second, drawn(rows, torch.zeros(4, dtype=torch.int64), lag=0))
    torch.testing.assert_close(found, expected)


def test_views_without_positives_do_not_count(folder):
    pairing = no_pairing(index=INDEX, folder=folder)
    objective = SupCon(SupConConfig(T, "scene"), torch.nn.Identity(), pairing, 0)
    both = objective.positives(torch.tensor([11, 0, 1]))
    assert both.tolist() == [[False, False, False], [False, False, True], [False, True, False]]
