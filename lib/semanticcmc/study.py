"""The front door of notebooks: everything of one experiment, each thing loaded when it is first asked for.

E = semanticcmc.open("miniature")
E.networks, E.frames, E.labels, E.stimuli, E.rdms("semantic_60s"), E.model("lch"), E.table("lag_curve")
E.figure("lag_curve", layer="conv5")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from IPython import get_ipython
from IPython.display import Markdown
from matplotlib_inline.backend_inline import set_matplotlib_formats

from semanticcmc.config import InputError, one_of
from semanticcmc.evaluation import comparisons, robustness
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, planned_lag
from semanticcmc.evaluation.lag_curve import by_objective, gather
from semanticcmc.evaluation.rdm_files import rdm_file
from semanticcmc.evaluation.represent import Representation, represent
from semanticcmc.experiment import Network, lagged_name, load_experiment
from semanticcmc.figures.save import Picture, save
from semanticcmc.gallery import draw
from semanticcmc.network import GIVEN
from semanticcmc.questions import Asked
from semanticcmc.rsa.rdm import RDM, write_rdms
from semanticcmc.run import NOTEBOOK, is_run_by_papermill, plain, refuse_unknown_parameters
from semanticcmc.timescales.association import experiment_association, labels_as_wnids
from semanticcmc.timescales.curves import TimescalesConfig, lag_grid
from semanticcmc.timescales.meaning import meaning_by_lag
from semanticcmc.timescales.measured import label_lags_s

if TYPE_CHECKING:
    from semanticcmc.training.loop import Run


class Study(Asked):
    """One experiment, opened: what there is, and what can be made of it.

    Methods that make a table write it and return it; `figure` draws.
    """

    def figure(self, name: str, **choices: Any) -> Picture:
        """Draw a figure of the notebooks by its name, and write it as SVG and PNG with its record.

        Raises InputError for a figure or a value that there is not; the message lists what there is.

        Parameters
        ----------
        name : str
            Of `gallery.FIGURES`, such as ``lag_curve``.
        **choices
            `layer`, `models`, `control`, `condition`, and what the figure itself takes, such as `network`.
        """
        drawn, file_name, inputs = draw(self, name, choices)
        folder = self.path("figures", file_name).parent
        return save(drawn, self.experiment, file_name, inputs, os.environ.get(NOTEBOOK), folder)

    def dataset(self) -> pd.DataFrame:
        """What the films hold, as ``tables/dataset.csv``: ``quantity, value, unit``."""
        used, stream = self.used_films, self.labels
        sets = labels = distinct = rate = 0.0
        if stream is not None:
            sets, labels, distinct = stream.times["count"].sum(), len(stream.labels), stream.labels.label.nunique()
            rate = labels / (stream.times["count"] * stream.times.interval_s).sum()
        rows = [
            ("films", len(used), "films"),
            ("hours", used.duration_s.sum() / 3600, "h"),
            ("frames", 0 if self.experiment.labels_alone else len(self.frames), "frames"),
            ("label sets", sets, "label sets"),
            ("labels", labels, "labels"),
            ("distinct labels", distinct, "labels"),
            ("labels a second", rate, "1/s"),
            ("films left out", len(self.films) - len(used), "films"),
        ]
        return self.write("dataset", pd.DataFrame(rows, columns=["quantity", "value", "unit"]))

    def association(self) -> RDM | None:
        """Distances that the labels' associations give at one lag; writes them as the model ``association``.

        The lag is the recommended one; where looks recommend none the planned one, else the middle one of the networks.
        None, and the reason is printed, where no label is a noun of WordNet, or films are shorter than the lag.
        """
        lags_s = sorted(self.experiment.lags_s) or [0.0]
        recommended = self.table("recommended_lag").lag_s.dropna().tolist()
        lag_s = [*recommended, planned_lag(self.experiment) or lags_s[len(lags_s) // 2]][0]
        try:
            rdm = experiment_association(self.experiment, self.some_labels, lag_s)
        except InputError as error:
            print(f"No model association: {error}")
            return None
        write_rdms(self.path("rdms", "association.parquet"), {"association": rdm})
        print(f"Model association: {len(rdm)} nouns, at a lag of {lag_s:g} s.")
        return rdm

    def meaning(self) -> pd.DataFrame:
        """Whether labels alike in meaning follow each other, by lag: writes ``tables/meaning.csv``, what figures show.

        Returned are the time scales of these curves, ``tables/meaning_scales.csv`` (`timescales.meaning`). Raises
        InputError if no label is a noun of WordNet, or too few are for a model.
        """
        config = self.experiment.section("timescales", TimescalesConfig)
        stream = labels_as_wnids(self.experiment, self.some_labels)
        lags_s = lag_grid(*label_lags_s(stream), config.lags)
        models = {name: self.model(name) for name in self.shown.models}
        curves, scales = meaning_by_lag(stream, models, lags_s, config, self.watch("labels at chance"))
        self.write("meaning", curves)
        return self.write("meaning_scales", scales)

    def asked(self, network: str, lag_s: float, seed: int) -> Network:
        """The network that a notebook's parameters name: ``semantic`` with a lag, or a baseline; it may be new."""
        return self.experiment.network(lagged_name(lag_s) if network == "semantic" else network, seed)

    def about(self, network: str | Network) -> str:
        """Where a network is to be found: one of the YAML in all results, one trained by hand where it is asked for."""
        network = self.network(network)
        if network not in self.added:
            return f"{network}: of the YAML, and in its results; notebook 04 has it on its curve."
        ask = f'E.lag_curve(also=["{network.name}"])'
        return f"{network}: trained by hand; it is in E.networks, and {ask} has it; the YAML does not list it."

    def run(self, network: str | Network, seed: int | None = None) -> Run:
        """The training of a network, checked before anything long starts."""
        from semanticcmc.training.loop import Run  # here: what does not train need not import it

        if (one := self.network(network, seed)).objective == GIVEN:
            raise InputError(f"{one.name}: another's network, which is shown stimuli and not trained")
        return Run(self.experiment, one)

    def train(self, run: Run | str | Network) -> None:
        """Train to the end, from where an earlier run stopped; by hand the loss is drawn while it falls."""
        from semanticcmc.evaluation.represent import watched_stimuli
        from semanticcmc.figures.training import LiveCurve

        run = self.run(run) if isinstance(run, str | Network) else run
        live = None if self.write_results else LiveCurve(run.folder / "metrics.jsonl", str(run.network))
        run.train(live, watched_stimuli(self.experiment, run.network))
        print(run.report())

    def represent(self, network: str | Network, seed: int | None = None) -> Representation:
        """Show a network the stimuli; its files below ``rdms/`` are written by the workflow, or where it has none."""
        one = self.network(network, seed)
        new = not rdm_file(self.experiment, one, "intact").exists()
        batches = -(-len(self.stimuli) // self.experiment.section("activations", ActivationsConfig).batch_size)
        return represent(self.experiment, one, self.stimuli, self.write_results or new, self.watch(str(one), batches))

    def add(self, network: str, layers: Mapping[str, str] | None = None) -> Network:
        """Bring another's network, such as ``resnet18``, onto the lag curve; see `scoring.score.add`."""
        from semanticcmc.scoring.score import add

        return add(self.experiment, self.stimuli, network, layers)

    def gather(self, measure: str) -> pd.DataFrame:
        """Class ``accuracy`` or ``noise_ceiling`` of all networks, as one table."""
        return self.write(measure, gather(self._with_added(), measure))

    def lag_comparisons(self) -> pd.DataFrame:
        """Which two networks differ, by the paired bootstrap, at the layer shown."""
        watch = self.watch("paired bootstrap")
        found = comparisons.lag_comparisons(self._with_added(), self.shown.layer, watch=watch)
        return self.write("lag_comparisons", found)

    def joint(self) -> pd.DataFrame:
        """What several seeds say together, the planned test and the interval of the peak, at the declared layer."""
        return self.write("joint", comparisons.joint(self._with_added(), self.experiment.primary_layer))

    def connectivity(self) -> pd.DataFrame:
        """How alike any two networks see, at the layer shown."""
        return self.write("connectivity", comparisons.connectivity(self._with_added(), self.shown.layer))

    def yardsticks(self) -> pd.DataFrame:
        """Read-out of category, CKA and shares of variance, of all networks at the layer shown."""
        return self.write("yardsticks", comparisons.yardsticks(self._with_added(), self.shown.layer))

    def published(self) -> pd.DataFrame:
        """The published tests beside ours at the declared layer, as ``tables/published.csv``."""
        found = comparisons.beside_published(self.table("lag_curve"), self.experiment.primary_layer)
        return self.write("published", found)

    def objectives(self) -> pd.DataFrame:
        """What each objective taught (`evaluation.lag_curve.by_objective`), as ``tables/objectives.csv``."""
        return self.write("objectives", by_objective(self.experiment))

    def robustness(self) -> pd.DataFrame:
        """One change of the analysis a row (`evaluation.robustness`), as ``tables/robustness.csv``."""
        config = self.experiment.section("evaluation", EvaluationConfig)
        pooled = self.experiment.section("activations", ActivationsConfig).spatial_mean
        given = robustness.material(self.experiment.on_the_curve)
        rows = robustness.choices(given, self.experiment.primary_layer, config.distance, pooled, config.method)
        models = {name: self.model(name) for name in config.models}
        return self.write("robustness", robustness.panel(self.watch("robustness")(list(rows)), models, config))

    def rows(self, table: str, columns: Sequence[str], **wanted: Any) -> pd.DataFrame:
        """Some columns of the rows of a table that figures show; `wanted` values take the place of those shown."""
        for column in (*columns, *wanted):
            one_of("column", column, self.table(table))
        return self.shown.rows(self.table(table), **wanted)[list(columns)]

    @staticmethod
    def show(table: pd.DataFrame, floatfmt: str = ".3g", head: str = "", most: int = 60, empty: str = "") -> Markdown:
        """A table as a notebook shows it: its first `most` rows below the words `head`; `empty` where it has no row."""
        if table.empty and empty:
            return Markdown(empty)
        index = not isinstance(table.index, pd.RangeIndex) and table.index.name is not None
        shown = table.head(most).reset_index() if index else table.head(most)
        texts = shown.map(lambda value: isinstance(value, str)).all()
        words = [n for n, only in enumerate(texts) if only and len(shown)]
        shown = shown.map(lambda value: plain(value) if isinstance(value, str) else value)  # labels are no markup
        text = shown.to_markdown(index=False, floatfmt=floatfmt, disable_numparse=words)
        more = f"\n\nand {len(table) - most} more" if len(table) > most else ""
        return Markdown((f"{head}\n\n" if head else "") + text + more)


def open_study(experiment: str | Path, cells: Sequence[str] | None = None, **chosen: Any) -> Study:
    """Open an experiment; `semanticcmc.open` is this function.

    Raises InputError if the experiment cannot be read, or for an unknown parameter.

    Parameters
    ----------
    experiment : str or Path
        As of `experiment.load_experiment`: a name in ``analysis/experiments``, or the path of a YAML.
    cells : sequence of str, optional
        ``In`` of a notebook: parameters that papermill injects but the notebook does not know are refused, and the
        notebook writes into the results where papermill runs it.
    **chosen
        `write=True` for results to be written by hand; else as of `opened.Opened`.
    """
    if cells is not None:
        refuse_unknown_parameters(cells)
        own = any(value is not None for value in chosen.values())  # asked in another way: the results stay as they are
        chosen.setdefault("write", is_run_by_papermill(cells) and not own)
    from semanticcmc.figures.style import use_house_style

    use_house_style()
    if get_ipython() is not None and not is_run_by_papermill(cells or ()):
        set_matplotlib_formats("retina")  # what is drawn while one waits is sharp on fine screens, as files are
    return Study(load_experiment(experiment), **chosen)
