"""What a world writes besides frames, where it is asked to: exact boxes, flow, silhouettes and poses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from semanticcmc.config import InputError
from semanticcmc.films.store import FrameStore
from semanticcmc.world.build import build
from semanticcmc.world.objects import class_looks
from semanticcmc.world.other_views import pictures, tracks, velocities
from semanticcmc.world.renderer import FilmRenderer
from semanticcmc.world.timeline import timelines
from tests.world.test_build import SMALL, on_grey
from tests.world.test_timeline import world

CONFIG = world(films=1, film_duration_s=120.0, image_px=64)
TIMES = np.arange(0, 120.0, 2.0)


@pytest.fixture(scope="module")
def film():
    return FilmRenderer(CONFIG, timelines(CONFIG)[0], class_looks(CONFIG))


def test_silhouettes_are_where_the_objects_are(film):
    """Between the picture and the same place without objects nothing but objects and their shadows differs."""
    opacity = pictures(film, TIMES, "segmentation")[..., 0] / 255
    alone = on_grey(film, TIMES).astype(int)
    differs = np.abs(alone - np.median(alone[:, :1, :1], axis=(1, 2), keepdims=True)).max(3) > 40
    assert (opacity[differs] > 0.2).mean() > 0.99 and 0.02 < opacity.mean() < 0.6


def test_boxes_hold_the_silhouettes_and_nothing_else_does(film):
    boxes, opacity = tracks(film, TIMES), pictures(film, TIMES, "segmentation")[..., 0] > 128
    outside = opacity.copy()
    rows = np.searchsorted(TIMES, boxes["time_s"])
    for row, box in zip(rows, boxes.itertuples(), strict=True):
        part = np.s_[row, box.top : box.top + box.height, box.left : box.left + box.width]
        assert opacity[part].mean() > 0.15  # an object is there
        outside[part] = False
    assert outside.sum() < 0.05 * opacity.sum()  # limbs, and objects more than half outside the picture
    assert (boxes["height"] > 0).all() and (boxes["left"] + boxes["width"] <= 64).all()


@pytest.mark.parametrize("which", [None, 0])
def test_flow_is_the_rate_at_which_points_of_the_stage_move_in_the_picture(film, which):
    step_s, times = 1e-3, TIMES[np.diff(film.timeline.shot_at(TIMES + 1e-3), prepend=-1) == 0]
    now, then = film.cameras(times), film.cameras(times + step_s)
    assert (now.shot == then.shot).all()
    stage = np.array([0.1, 0.2]) if which is None else film.position[now.beat, which] + np.array([0.2, -0.1])
    moved = stage
    if which is not None:  # an object sways about its middle
        turn, arm = then.sway - now.sway, np.array([0.2, -0.1])
        turned = np.stack(
            [np.cos(turn) * arm[0] - np.sin(turn) * arm[1], np.sin(turn) * arm[0] + np.cos(turn) * arm[1]], 1
        )
        moved = film.position[now.beat, which] + turned
    before, after = ((point - at.centre) / at.width[:, None] for point, at in ((stage, now), (moved, then)))
    found = velocities(film, now, which, torch.tensor(before).float())
    np.testing.assert_allclose(found.numpy(), (after - before) / step_s, atol=2e-4)


def test_the_picture_of_the_flow_carries_it_about_mid_grey(film):
    flow = pictures(film, TIMES, "flow")
    assert (flow[..., 2] == 128).all() and flow[..., :2].std() > 2
    still = dataclasses.replace(CONFIG)
    calm = FilmRenderer(still, film.timeline, class_looks(still))
    calm._drift = calm._drift * 0
    assert (pictures(calm, TIMES, "flow") == 128).all()


def test_poses_tell_place_size_and_turn_and_nothing_of_the_look(film):
    poses = pictures(film, TIMES, "pose")
    at = film.cameras(TIMES)
    x, y = ((film.position[at.beat, 0] - at.centre) / at.width[:, None] + 1).T * 32
    inside = (x > 1) & (x < 63) & (y > 1) & (y < 63)
    rows = np.flatnonzero(inside)
    assert (poses[rows, y[rows].astype(int), x[rows].astype(int), 0] > 200).all()
    others = FilmRenderer(CONFIG, film.timeline, class_looks(CONFIG)[::-1].copy())
    assert np.array_equal(pictures(others, TIMES, "pose"), poses)


def test_a_world_writes_them_where_asked_and_is_the_same_without(tmp_path):
    asked = dataclasses.replace(SMALL, other_views=("flow", "segmentation", "pose", "tracks"))
    for name, config in (("plain", SMALL), ("asked", asked)):
        build(config, tmp_path / name, processes=1)
    for file in (tmp_path / "plain").rglob("*"):
        same = tmp_path / "asked" / file.relative_to(tmp_path / "plain")
        if file.is_file() and file.suffix not in (".json", ".parquet"):  # these tell what the films were made from
            assert file.read_bytes() == same.read_bytes(), file
    more = {path.name for path in (tmp_path / "asked/frames").glob("*")}
    more -= {path.name for path in (tmp_path / "plain/frames").glob("*")}
    films = [f"film-0{i}.{view}" for i in (1, 2) for view in ("flow", "pose", "segmentation")]
    assert more == {f"{one}{end}" for one in films for end in (".tar", ".parquet")}
    frames = FrameStore(tmp_path / "asked/frames")
    flow = FrameStore(tmp_path / "asked/frames", "flow")
    assert len(flow) == len(frames) and flow.read_rows([3, 50]).shape == frames.read_rows([3, 50]).shape
    made = FilmRenderer(asked, timelines(asked)[1], class_looks(asked))
    expected = pictures(made, np.array([10.0]), "flow")[0]
    assert np.abs(flow.read("film-02", 10.0).astype(int) - expected).mean() < 3  # JPEG
    table = pd.read_parquet(tmp_path / "asked/world/tracks/film-01.parquet")
    pd.testing.assert_frame_equal(
        table, tracks(FilmRenderer(asked, timelines(asked)[0], class_looks(asked)), asked.times_s)
    )
    build(SMALL, tmp_path / "asked", processes=1)  # no longer asked for: what was made is taken away
    assert not list((tmp_path / "asked/frames").glob("*flow*"))
    with pytest.raises(InputError, match=r"film-01.flow.parquet.*other_views"):
        FrameStore(tmp_path / "asked/frames", "flow")
