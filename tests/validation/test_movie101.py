"""The study of real films' words: against a short script on one film, and on films of known time scale."""

import importlib
import json
import math
import re
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from semanticcmc.labels.ingest import import_labels
from semanticcmc.labels.stream import LabelsConfig, read_labels
from semanticcmc.rsa.wordnet import open_wordnet
from tests.conftest import ROOT, SHARED

NARRATIONS = SHARED / "data" / "movie101"
FILM = "6963963173992923684"
pytest.importorskip("nltk")


@pytest.fixture(scope="module")
def study():
    return importlib.import_module("validation.movie101")


def test_counts_and_pmi_of_one_film_are_those_of_a_short_script(study, tmp_path):
    """The script shares no code with the package: it knows the nouns, and finds them by regular expressions."""
    if not (NARRATIONS / f"{FILM}.txt").is_file():
        pytest.skip(f"{NARRATIONS} is not there: Movie101's narrations are not part of the repository")
    if open_wordnet() is None:
        pytest.skip("WordNet 3.0 is not installed")
    shutil.copy(NARRATIONS / f"{FILM}.txt", tmp_path / "film.txt")
    config = LabelsConfig(None, study.STEP_S, 0.0, False, (), False, None, (0.0, 0.0))
    import_labels(tmp_path / "film.txt", tmp_path / "labels", config)
    table = pd.read_csv(tmp_path / "labels" / "words.csv", keep_default_na=False)
    kept = table[table["wnid"] != ""]
    words = pd.read_parquet(tmp_path / "labels" / "words.parquet")
    spoken, wnids = study.frequent(words, dict(zip(kept["label"], kept["wnid"], strict=True)), 10**6)
    [seen] = study.presence(spoken, len(wnids))
    nouns = {name: name for name in ("bus", "island", "sea", "tree", "fish", "phone", "lizard")}
    place = {name: wnids.index(kept.set_index("label").loc[label, "wnid"]) for name, label in nouns.items()}

    # --- the script: plain Python from here to the end
    several = sorted((label for label in table["label"] if " " in label), key=len, reverse=True)
    film, end = {name: set() for name in nouns}, 0
    for line in (NARRATIONS / f"{FILM}.txt").read_text(encoding="utf-8").splitlines():
        start, stop, text = line.split("|", 2)
        start, stop = (
            sum(int(part) * 60**power for power, part in enumerate(t.split(":")[::-1])) for t in (start, stop)
        )
        end = max(end, stop)
        text = re.sub(r"\[.*?\]", ".", text).lower()
        for label in several:
            text = text.replace(label, ".")
        for name in nouns:
            if re.search(rf"\b{name}(s|es)?\b", text):
                moments = [m for m in range(start // 2, stop // 2 + 2) if start <= 2 * m < stop]
                film[name] |= set(moments or [round((start + stop) / 4)])
    moments, lag = math.ceil(end / 2), 10  # 20 s
    for name, place_of in place.items():
        assert set(np.flatnonzero(seen[:, [place_of]].toarray())) == film[name], name
    joint, expected = Counter(), Counter()
    for a in nouns:
        for b in nouns:
            joint[a, b] += sum(m + lag in film[b] for m in film[a])
            first = sum(m < moments - lag for m in film[a])
            expected[a, b] += first * sum(m >= lag for m in film[b]) / (moments - lag)
    ours = study.pooled_at([seen], 20.0)
    alike = study.similarity(*ours, "direct", 64)
    assert sum(joint.values()) > 100
    for a in nouns:
        for b in nouns:
            both = joint[a, b] + joint[b, a], expected[a, b] + expected[b, a]
            at = place[a], place[b]
            assert (ours[0][at], ours[1][at]) == pytest.approx(both, rel=1e-5)
            assert alike[at] == pytest.approx(math.log((both[0] + 1) / (both[1] + 1)), abs=1e-5)


def words_of(films, scene_s=60, seed=0, nouns=24, groups=4, per_film=100):
    """Films whose scenes of `scene_s` are each of one group of nouns, an utterance of two nouns every 6 s."""
    generator, rows = np.random.default_rng(seed), []
    for film in range(films):
        group = np.repeat(generator.integers(groups, size=per_film), scene_s // 6)
        for i, one in enumerate(group):
            for noun in generator.choice(np.arange(one, nouns, groups), 2, replace=False):
                rows.append((film, film * 10**6 + i, 6.0 * i, 6.0 * i + 4, noun))
    return pd.DataFrame(rows, columns=["film", "utterance", "start_s", "stop_s", "noun"])


def near(nouns=24, groups=4):
    """A model whose categories are the groups."""
    first, second = np.triu_indices(nouns, 1)
    same = (first % groups == second % groups).astype(float)
    return {"group": (first, second, (same - same.mean()) / same.std())}


def test_a_known_time_scale_is_found_and_nulls_have_none(study):
    """Two moments d apart are in one scene with probability 1 - d / scene_s: a closed form. Else chance brings them."""
    words, generator = words_of(8, scene_s=120), np.random.default_rng(1)
    settings = study.SETTINGS | {"nouns": 24, "dimensions": 3}
    films, mixed = (study.presence(one, 24) for one in (words, study.shuffled(words, generator)))
    first, second, value = near()["group"]

    def shares(films, lag_s, partners=None):
        """Share of pairs that are of one group, and that by the films' rates."""
        counts = (one[first, second] for one in study.pooled_at(films, lag_s, partners))
        return [one[value > 0].sum() / one.sum() for one in counts]

    for lag_s in (20, 60, 90, 120, 300):
        stays = max(0, 1 - lag_s / 120)
        share, chance = shares(films, lag_s)
        assert share == pytest.approx(stays + (1 - stays) * chance, abs=0.05)
        for null, partners in ((mixed, None), (films, study.paired(8, generator))):
            share, chance = shares(null, lag_s, partners)
            assert share == pytest.approx(chance, abs=0.05)
    r = study.curves(films, near(), settings, samples=2)[:, :, :, 0]
    lags = np.array(study.LAGS_S)
    assert (r[:, (lags > 0) & (lags <= 60)] > 0.4).all()
    assert r[0] != pytest.approx(r[1])


def test_nulls_keep_what_they_say(study):
    words, generator = words_of(5, per_film=6), np.random.default_rng(0)
    moved = study.shuffled(words, generator)
    for name in ("film", "utterance", "noun"):
        assert (moved[name] == words[name]).all()
    for film, own in moved.groupby("film"):
        spans = {
            "left": own.drop_duplicates("utterance"),
            "right": words[words.film == film].drop_duplicates("utterance"),
        }
        left, right = (sorted(map(tuple, one[["start_s", "stop_s"]].to_numpy())) for one in spans.values())
        assert left == right
    assert (moved["start_s"] != words["start_s"]).mean() > 0.8
    for films in (2, 3, 9):
        partners = study.paired(films, generator)
        assert sorted(partners) == list(range(films))
        assert (partners != np.arange(films)).all()


def test_films_together_are_the_sum_of_films(study):
    films = study.presence(words_of(4, per_film=9), 24, (3, 5))
    for lag_s in (0, 20, 10_000):
        for apart, together in zip(study.pairs_at(films, lag_s), study.pooled_at(films, min(lag_s, 400)), strict=True):
            if lag_s < 400:
                assert apart.sum(axis=0) == pytest.approx(together, rel=1e-4)
            else:
                assert not apart.any()


def test_presence_is_that_of_the_label_import(study, tmp_path):
    text = "0:0:3|0:0:9|A dog and a cat.\n0:0:7|0:0:16|The dog.\n0:0:20|0:0:20|A cat sits on a chair.\n"
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    for span_s in ((0.0, 0.0), (5.0, 5.0)):
        config = LabelsConfig(None, study.STEP_S, 0.0, False, (), False, None, span_s)
        import_labels(tmp_path / "a.txt", tmp_path / "out", config)
        stream = read_labels(tmp_path / "out")
        words = pd.read_parquet(tmp_path / "out" / "words.parquet")
        spoken, names = study.frequent(words, {name: name for name in ("dog", "cat", "chair")}, 3)
        [seen] = study.presence(spoken, 3, span_s)
        assert seen.shape[0] == stream.times["count"].item()
        for noun, name in enumerate(names):
            own = stream.labels[stream.labels["label"] == name]["time_s"].to_numpy()
            assert list(study.STEP_S * np.flatnonzero(seen[:, [noun]].toarray())) == list(own)


def test_the_last_lag_above_the_null_ends_the_first_run(study):
    lags = len(study.LAGS_S)
    values = np.zeros((3, lags))
    values[0, 2:5], values[0, 7] = 1, 1
    values[1] = 1
    last = study.last_above(values, np.full(lags, 0.5))
    assert last[:2].tolist() == [study.LAGS_S[4], study.LAGS_S[-1]]
    assert math.isnan(last[2])


def test_the_figure_is_of_the_table():
    table, said = (
        pd.read_csv(ROOT / "validation" / "movie101.csv"),
        json.loads((ROOT / "validation/movie101.json").read_text()),
    )
    own = table[(table.span_s == 0) & (table.lag_s == 60)]
    for row in own.itertuples():
        assert f"{row.r:.3f} at 60 s" in said["alt"]
    assert f"{said['config']['films']} whole films" in said["caption"]
    assert (table.dropna().ci_low <= table.dropna().r).all()
