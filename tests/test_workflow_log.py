"""What is read from Snakemake's log, of which some is written here by Snakemake itself."""

import types

import pytest

from semanticcmc.workflow import run_workflow
from semanticcmc.workflow_log import MOST_ERRORS, Jobs, explain_failure


def test_time_left_counts_waiting_jobs_at_the_mean_of_their_kind():
    jobs = Jobs()
    for line in (
        "Job stats:",
        "job      count",
        "-----  -------",
        "all          1",
        "train        5",
        "total        6",
        "",
    ):
        jobs.feed(line)
    for line in ("rule train:", "    jobid: 3", "Finished jobid: 3 (Rule: train)"):
        jobs.feed(line)
    jobs.seconds["train"] = [30.0]
    assert jobs.left_s(1, []) == pytest.approx(4 * 30)
    assert jobs.left_s(2, []) == pytest.approx(4 * 30 / 2)


def test_jobs_that_a_checkpoint_adds_are_counted():
    jobs = Jobs()
    for line in (
        "Job stats:",
        "job    count",
        "-----  -----",
        "probe_films  1",
        "all          1",
        "total        2",
        "",
    ):
        jobs.feed(line)
    for line in (
        "checkpoint probe_films:",
        "    jobid: 1",
        "Finished jobid: 1 (Rule: probe_films)",
        "1 of 4 steps (25%) done",
    ):
        jobs.feed(line)
    assert (jobs.done, jobs.total) == (1, 3)


SNAKEFILE = """
rule all:
    input: "bad", "good1", "good2", "worse", "never"

rule bad:
    output: "bad"
    log: "logs/bad.log"
    priority: 50
    shell: "echo 'starting' > {log}; echo 'error: a.tar: No space left on device' >> {log}; exit 2"

rule good:
    output: "good{n}"
    log: "logs/good{n}.log"
    shell: "sleep 0.2; echo 'error: in a job that ended well' > {log}; touch {output}"

rule worse:
    input: "good1"
    output: "worse"
    log: "logs/worse.log"
    shell: "echo 'error: another' > {log}; exit 1"

rule never:
    input: "bad"
    output: "never"
    log: "logs/never.log"
    shell: "touch {output}"
"""


def test_one_failed_job_stops_no_other_and_the_first_error_is_told_first(tmp_path, monkeypatch, capsys):
    """`run_workflow` on a workflow of its own, in which a job fails at once and another later."""
    root, results = tmp_path / "repository", tmp_path / "results"
    root.mkdir()
    (root / "Snakefile").write_text(SNAKEFILE)
    results.mkdir()
    monkeypatch.setattr("semanticcmc.workflow.repository_root", lambda: root)
    experiment = types.SimpleNamespace(folder=results, file="any.yaml", path=lambda *parts: results.joinpath(*parts))
    assert run_workflow(experiment, 2) != 0
    found = {name for name in ("bad", "good1", "good2", "worse", "never") if (results / name).exists()}
    assert found == {"good1", "good2"}
    said = explain_failure(results)
    assert said.startswith("error: a.tar: No space left on device\n")
    assert said.count("error: ") == 2 and said.index("error: a.tar") < said.index("error: another")
    assert "ended well" not in said and "starting" not in said
    jobs = Jobs()
    for line in (results / "workflow.log").read_text().splitlines():
        jobs.feed(line)
    assert jobs.failed == ["bad", "worse"] and not jobs.started
    assert (jobs.done, jobs.total) == (2, 5)
    assert "FAILED: bad" in capsys.readouterr().out


def test_many_errors_are_cut_short_and_one_told_by_many_jobs_is_told_once(tmp_path):
    (tmp_path / "logs").mkdir()
    errors, blocks = MOST_ERRORS + 2, []
    for n in range(2 * errors):
        (tmp_path / "logs" / f"{n}.log").write_text(f"Traceback\nx.InputError: value <{n // 2}>\nremedy\n\nmore\n")
        blocks.append(f"Error in rule a:\n    jobid: {n}\n    log: logs/{n}.log (check)\n[time]\n")
    (tmp_path / "workflow.log").write_text("".join(blocks))
    said = explain_failure(tmp_path)
    assert said.splitlines()[:2] == ["error: value <0>", "remedy"]
    assert [said.count(f"<{n}>") for n in range(errors)] == [1] * MOST_ERRORS + [0, 0]
    assert said.endswith(f"and 2 more errors; all logs are in {tmp_path / 'logs'}")
    (tmp_path / "workflow.log").write_text("no job was started\n")
    assert explain_failure(tmp_path) == "no job was started\n"
