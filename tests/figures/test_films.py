"""Film strips, label frequencies and association maps show what they are given."""

import re

import numpy as np
import pandas as pd
import pytest

from semanticcmc.figures import films
from tests.figures.drawing import line, pictures


@pytest.mark.parametrize(
    "labels", [None, [["dog"], [], ["dog", "cat"], ["hammer"], ["a very very long label of a thing"]]]
)
def test_film_strip_shows_frames_in_time_order_and_marks_the_pair(labels):
    images, times_s = pictures(5), [3590.0, 3600.0, 3610.0, 3620.0, 3630.0]
    drawn = films.film_strip(images, times_s, labels, (1, 3), "A film")
    axes, figure = drawn.axes, drawn.figure
    boxes = [ax.get_position() for ax in axes]
    assert [box.x0 for box in boxes] == sorted(box.x0 for box in boxes)
    for ax, image in zip(axes, images, strict=True):
        assert (ax.images[0].get_array() == image).all()
    texts = [ax.get_xlabel().splitlines() for ax in axes]
    assert [text[0] for text in texts] == ["59:50", "1:00:00", "1:00:10", "1:00:20", "1:00:30"]
    assert [" ".join(text[1:]) for text in texts] == [" ".join(names) for names in labels or [[]] * 5]
    if labels:  # words that are too long for a frame go on below
        assert len(texts[-1]) == 3 and max(len(line) for text in texts for line in text[1:]) < 20
    for ax in axes:
        words = ax.xaxis.label.get_window_extent()
        assert words.x0 >= 0 and words.x1 <= figure.bbox.width
    [bracket] = [artist for artist in figure.artists if artist.get_gid() == "pair"] or [
        line for line in figure.lines if line.get_gid() == "pair"
    ]
    middles = [(boxes[i].x0 + boxes[i].x1) / 2 for i in (1, 3)]
    assert [min(bracket.get_xdata()), max(bracket.get_xdata())] == pytest.approx(middles)
    assert min(bracket.get_ydata()) > max(box.y1 for box in boxes)
    assert any("20 s apart" in text.get_text() for text in figure.texts)
    assert "5 frames of A film" in drawn.alt and "20 s apart, are framed" in drawn.alt
    assert ("labels" in drawn.alt) == (labels is not None)


def test_times_are_those_of_a_clock():
    drawn = films.film_strip(pictures(3), [5.0, 112.4, 36000.0], None, (0, 1))
    assert [ax.get_xlabel() for ax in drawn.axes] == ["0:05", "1:52", "10:00:00"]


def test_film_strip_refuses_frames_out_of_order():
    with pytest.raises(ValueError, match="order of time"):
        films.film_strip(pictures(3), [0.0, 10.0, 2.0], None, (0, 1))


def test_label_frequencies_fall_with_rank():
    [ax], alt, _ = films.label_frequencies(pd.Series({"cat": 5, "dog": 50, "owl": 1}), named=2)
    assert line(ax, "frequencies").get_xydata().tolist() == [[1, 50], [2, 5], [3, 1]]
    assert "3 labels" in alt and "dog, cat, owl" in alt
    assert [re.split(r"\s+", row) for row in ax.texts[0].get_text().splitlines()] == [["1", "dog"], ["2", "cat"]]


def test_association_maps_share_one_scale_and_the_order_of_categories():
    names = ["hammer", "dog", "saw", "cat"]
    categories = {"hammer": "tool", "saw": "tool", "dog": "animal", "cat": "animal"}
    maps = {
        lag_s: pd.DataFrame(np.random.default_rng(i).normal(size=(4, 4)), names, names)
        for i, lag_s in enumerate((1.0, 60.0))
    }
    axes, alt, _ = films.association_maps(maps, categories)
    drawn = [ax.images[0] for ax in axes]
    order = ["cat", "dog", "hammer", "saw"]
    for image, table in zip(drawn, maps.values(), strict=True):
        assert np.allclose(image.get_array(), table.loc[order, order])
    highest = max(table.to_numpy().max() for table in maps.values())
    assert "4 labels" in alt and "1 s, 60 s" in alt
    assert [image.get_clim() for image in drawn] == [pytest.approx((0, highest))] * 2
