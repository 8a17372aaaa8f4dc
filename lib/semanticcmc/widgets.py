"""What notebook 00 shows: films to play, tests to choose, distances to point at; nothing of it changes a result.

Where papermill runs the notebook, for the site, each function gives a still figure in place of its widgets.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as ipw
import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from semanticcmc.config import InputError
from semanticcmc.evaluation.config import EvaluationConfig
from semanticcmc.figures.rdms import classical_scaling
from semanticcmc.figures.style import group_styles, lag_text
from semanticcmc.opened import Opened
from semanticcmc.run import NOTEBOOK
from semanticcmc.study import Study

SIDE_PX = 260  # at which frames and stimuli are shown


def _is_still() -> bool:
    return NOTEBOOK in os.environ


def _choice(description: str, options: Sequence[Any], value: Any = None) -> ipw.Dropdown:
    if not options:
        raise InputError(f"{description}: there is none to choose yet; make poster makes them")
    values = [one[1] if isinstance(one, tuple) else one for one in options]
    return ipw.Dropdown(description=description, options=options, value=value if value in values else values[0])


def _networks(E: Opened, description: str, value: str = "") -> ipw.Dropdown:
    """A choice of networks that have been represented."""
    there = [one for one in E.networks if E.is_represented(one)]
    first = next((one for one in there if one.name == value), None)
    return _choice(description, [(str(one), one) for one in there], first)


def _follow(inputs: Sequence[ipw.Widget], show: Callable[[], None]) -> None:
    """Show now, and again when one of the inputs changes."""
    for one in inputs:
        one.observe(lambda _: show(), "value")
    show()


def _png(image: Any) -> bytes:
    Image.fromarray(np.asarray(image)).save(file := io.BytesIO(), format="png")
    return file.getvalue()


def _image() -> ipw.Image:
    return ipw.Image(value=_png(np.full((1, 1, 3), 255, "uint8")), format="png", width=SIDE_PX, height=SIDE_PX)


def films(E: Study) -> Any:
    """Frames of a film with their labels, and the frame a lag later; to be played, or moved through by a slider."""
    if _is_still():
        return E.figure("film_strip")
    store, stream, lags_s = E.frames, E.labels, sorted(E.experiment.lags_s) or [1.0]
    film = _choice("film", store.movies)
    lag = _choice("lag", [(lag_text(lag_s), lag_s) for lag_s in lags_s], lags_s[len(lags_s) // 2])
    step = ipw.IntSlider(description="frame", layout=ipw.Layout(width="100%"))
    play = ipw.Play(interval=250, show_repeat=False)
    ipw.jslink((play, "value"), (step, "value"))
    pictures, words = (_image(), _image()), (ipw.HTML(), ipw.HTML())

    def seen(time_s: float) -> str:
        if stream is None:
            return ""
        rows, near = stream.labels.iloc[stream.rows[film.value]], stream.film(film.value).interval_s / 2
        found = rows[(rows.time_s - time_s).abs() <= near].sort_values("confidence", ascending=False)
        return ", ".join(found.label.unique()[:8])

    def show() -> None:
        times_s = store.times(film.value)
        step.max = play.max = len(times_s) - 1
        pair_s = (times_s[step.value], times_s[step.value] + lag.value)
        for picture, text, time_s in zip(pictures, words, pair_s, strict=True):
            there = time_s <= times_s[-1]
            row = store.rows(film.value).start + int(np.abs(times_s - time_s).argmin())
            frame = store.read_rows([row])[0].permute(1, 2, 0).numpy()
            picture.value = _png(frame if there else np.zeros_like(frame))
            text.value = f"<b>{time_s:g} s</b> {escape(seen(time_s))}" if there else "after the end"

    _follow([film, lag, step], show)
    columns = [ipw.VBox([picture, text]) for picture, text in zip(pictures, words, strict=True)]
    return ipw.VBox([ipw.HBox([film, lag]), ipw.HBox([play, step]), ipw.HBox(columns)])


def lag_curve(E: Study) -> Any:
    """The lag curve at a layer, with models, a control and a correlation of one's choice."""
    if _is_still():
        return E.lag_curve(layer=E.shown.layer)
    there, declared = E.choices(), E.experiment.section("evaluation", EvaluationConfig).method
    layer, control = (_choice(name, there[name], getattr(E.shown, name)) for name in ("layer", "control"))
    method = _choice("method", there["method"], declared)
    models = ipw.SelectMultiple(description="models", options=there["models"], value=E.shown.models, rows=4)
    out = ipw.HTML()

    def show() -> None:
        chosen = {"layer": layer.value, "control": control.value, "method": method.value}
        answer: Any = E.lag_curve(models=models.value or None, **chosen)
        out.value = answer._repr_html_()

    _follow([layer, models, control, method], show)
    return ipw.VBox([ipw.HBox([ipw.VBox([layer, control, method]), models]), out])


def rdm(E: Study) -> Any:
    """A network's distances as a matrix and as a map; nouns and pictures of what is pointed at."""
    if _is_still():
        return E.figure("mds")
    network, layer = _networks(E, "network", E.best), _choice("layer", E.choices()["layer"], E.shown.layer)
    figure = go.FigureWidget(make_subplots(1, 2, subplot_titles=["distances", "map"]))
    figure.add_heatmap(colorscale="Cividis", showscale=False, hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>")
    figure.add_scatter(mode="markers", hovertemplate="%{text}<extra></extra>", row=1, col=2)
    figure.update_layout(width=960, height=520, margin={"l": 90, "r": 10, "t": 30, "b": 80}, showlegend=False)
    figure.update_layout(modebar={"orientation": "v"})
    figure.update_yaxes(autorange="reversed", row=1, col=1)
    figure.update_yaxes(scaleanchor="x2", showticklabels=False, row=1, col=2)
    figure.update_xaxes(showticklabels=False, row=1, col=2)
    pictures, said = (_image(), _image()), ipw.HTML("Point at a cell, or at a point of the map.")
    files, looks = E.pictures, group_styles(sorted(set(E.classes.category)))

    def show() -> None:
        found = E.rdm(network.value, layer.value)
        matrix, places = found.square(), classical_scaling(found.square())[0]
        categories = [E.category[E.wnid(noun)] for noun in found.classes]
        with figure.batch_update():
            figure.data[0].update(z=matrix, x=found.classes, y=found.classes)
            text = [f"{noun} ({category})" for noun, category in zip(found.classes, categories, strict=True)]
            marker = {"size": 11, "color": [looks[category]["color"] for category in categories]}
            figure.data[1].update(x=places[:, 0], y=places[:, 1], text=text, marker=marker)

    def point(trace: Any, points: Any, state: Any) -> None:
        if not points.point_inds:
            return
        at = np.ravel(points.point_inds[0])
        nouns = [figure.data[0].y[int(one)] for one in at]
        said.value = escape(" and ".join(nouns))
        for picture, noun in zip(pictures, [*nouns, nouns[0]], strict=False):
            picture.value = files[E.wnid(noun)].read_bytes()

    _follow([network, layer], show)
    for trace in figure.data:
        trace.on_hover(point)
    return ipw.VBox([ipw.HBox([network, layer]), figure, said, ipw.HBox(pictures)])


def neighbours(E: Study) -> Any:
    """The classes nearest to one in two networks."""
    first = "augment" if "augment" in E.experiment.networks else E.experiment.networks[0]
    nouns = sorted(E.classes.noun.unique())
    if _is_still():
        return E.neighbours(nouns[0], [first, E.best])
    noun, one, other = _choice("class", nouns), _networks(E, "network", first), _networks(E, "beside", E.best)
    out = ipw.HTML()

    def show() -> None:
        out.value = E.neighbours(noun.value, tuple(dict.fromkeys([one.value, other.value])))._repr_html_()

    _follow([noun, one, other], show)
    return ipw.VBox([ipw.HBox([noun, one, other]), out])
