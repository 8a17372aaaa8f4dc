"""What the paper quotes of the studies follows their tables."""

import importlib

import pandas as pd
import pytest
import yaml

from semanticcmc.config import InputError


@pytest.fixture
def study():
    return importlib.import_module("validation.write_quoted")


def test_what_is_quoted_is_what_the_tables_say(study, repository):
    committed = (repository / "validation" / "quoted.yml").read_text(encoding="utf-8")
    assert committed == study.quoted(), "run `python -m validation.write_quoted`"
    assert yaml.safe_load(committed)["timescales"]["numbers"]["follows_films"] is True


def test_a_study_with_another_outcome_is_quoted_with_it(study, monkeypatch):
    """Conditions as they would be if the network had learned from places, and a peak that does not follow its world."""
    read = study.table

    def otherwise(name, columns, *folder):
        table = read(name, columns, *folder)
        if name == "conditions":
            table.loc[table.world.eq("places"), "p"] = 0.9
            table.loc[table.world.eq("places") & table.condition.eq("background"), ["mantel_r", "p"]] = (0.3, 0.0001)
        if name == "lag_curve":
            table.loc[table.world.eq("four_times_faster") & table.network.eq("semantic_1s"), "mantel_r"] = 0.9
            table.loc[table.world.eq("objects_shuffled"), "p"] = 0.001
        if name == "published_nce":
            table.loc[table.variant.eq("nce"), "partial_p"] = 0.001
        if name == "pretexts_summary":
            table.loc[table["first"].isin(["same_label", "sound"]), "p"] = 0.5
        if name == "pretexts":
            table["p"] = 0.04  # in the number of networks too large
        return table

    followed = study.worlds()["numbers"]["followed"]
    assert study.worlds()["numbers"]["shuffled_shows_nothing"] and study.objectives()["numbers"]["needs_mending"]
    assert study.pretexts()["numbers"]["same_label_told_apart"] and study.pretexts()["numbers"]["sound_told_apart"]
    assert not study.pretexts()["numbers"]["learned"].startswith("0 of")
    monkeypatch.setattr(study, "table", otherwise)
    assert not study.pretexts()["numbers"]["same_label_told_apart"]
    assert not study.pretexts()["numbers"]["sound_told_apart"]
    assert study.pretexts()["numbers"]["learned"].startswith("0 of")
    assert study.places()["numbers"]["coded"]["places"] == "under background"
    assert study.worlds()["numbers"]["followed"] == followed - 1
    assert not study.worlds()["numbers"]["shuffled_shows_nothing"]
    assert not study.objectives()["numbers"]["needs_mending"]


def test_differences_and_coverage_are_those_of_the_tables(study, monkeypatch):
    columns = ["world", "seed", "first", "second", "model", "difference", "ci_low", "ci_high", "p"]
    contrasts = pd.DataFrame(
        [
            ("places", seed, "object", "background", "category", d, d - 0.1, d + 0.1, p)
            for seed, d, p in ((0, -0.2, 0.01), (1, -0.3, 0.03))
        ],
        columns=columns,
    )
    columns = ["design", "model", "effect", "sampling", "quantity", "interval", "coverage", "half_width"]
    rows = [
        ("a", "tree", 0, "classes", "simple", kind, covered, 0.1)
        for kind, covered in (("percentile", 0.99), ("corrected", 0.951))
    ]
    rows += [("b", "tree", 0, "classes", "simple", "corrected", 0.94, 0.3)]
    rows += [("a", "tree", 0, "fixed numbers", "simple", "corrected", 1.0, 0.3)]
    made_up = {"conditions_contrasts": contrasts, "intervals": pd.DataFrame(rows, columns=columns)}
    read = study.table
    monkeypatch.setattr(study, "table", lambda name, *more: made_up[name] if name in made_up else read(name, *more))
    assert study.places()["numbers"]["difference"] == {"places": "−0.25 [−0.40, −0.10] (p = 0.030)"}
    found = study.intervals()
    assert found["numbers"] == {"cases": "2", "corrected": "94.0 % to 95.1 %", "percentile": "99.0 % to 99.0 %"}
    assert len(found["table"]["rows"]) == 3


def test_a_missing_table_is_named_with_its_script(study, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "HERE", tmp_path)
    with pytest.raises(InputError, match=r"timescales\.csv: missing.*python -m validation\.timescales"):
        study.table("timescales", "study", tmp_path)
    (tmp_path / "recommended_lag_summary.csv").write_text("worlds\n")
    with pytest.raises(InputError, match=r"no column rule; .*python -m validation\.recommended_lag"):
        study.table("recommended_lag_summary", "worlds rule", tmp_path)
