# The pipeline: films, or the miniature world -> frames and labels -> networks, one a lag and seed -> RDMs -> lag curve -> poster and paper.
#
#   make poster EXPERIMENT=miniature              the usual way: checks first, shows the time left, says where everything is
#   semanticcmc run miniature -- --profile slurm        the same on a cluster: lags and films become jobs
#
# Every path below is relative to results/<experiment>/, Snakemake's working directory. A rule's `settings` are the parts
# of the experiment's YAML that it depends on: edit one, and only what depends on it runs again.

import hashlib
import json
import sys
from pathlib import Path

from semanticcmc.experiment import load_experiment

E = load_experiment(config["experiment"])
ROOT = Path(workflow.basedir)
ANALYSIS = ROOT / "analysis"
PYTHON = sys.executable
RUNS = [(network, seed) for network in E.networks for seed in E.seeds]
THREADS = max(1, workflow.cores // len(RUNS)) if workflow.cores else 1
WORLD = E.source == "world"
CONDITIONS = E.sections["stimuli"]["conditions"]  # of the stimuli: RDMs of its own for each
RANDOM = "random" in E.sections["evaluation"]["controls"]  # the mean RDM of several untrained networks as a control
RANDOM_SEEDS = sorted({*E.sections["evaluation"]["random_seeds"], *E.seeds}) if RANDOM else []
NOTEBOOKS = ["01_dataset_statistics", "04_lag_curve", "05_wordnet", "07_robustness"]
NOTEBOOKS += [f"{name}_{network}_seed-{seed}" for name in ("02_training", "03_representations") for network, seed in RUNS]
UNTRAINED = [seed for seed in RANDOM_SEEDS if ("random", seed) not in RUNS]  # those that no notebook makes
IMPORTED = None if WORLD else E.sections.get("labels", {}).get("path")  # folder or file of labels of films, if there is one
NOUNS = (IMPORTED and E.sections["labels"].get("nouns")) or []  # table of labels' nouns of one's own, if there is one


def settings(*keys):
    """The parts of the experiment that a rule depends on, as text that does not depend on the order of keys."""
    head = {"lags_s": E.lags_s, "primary_layer": E.primary_layer, "title": E.title, "seeds": E.seeds,
            "models": [E.sections.get("evaluation", {}).get(key) for key in ("models", "model_files")],
            "distance": E.sections.get("evaluation", {}).get("distance"),
            "imports": {key: value for key, value in E.sections.get("labels", {}).items() if key != "nouns"},
            "intervals": [E.sections["evaluation"][key] for key in ("method", "bootstrap_samples", "confidence", "seed")]}
    return json.dumps({key: head[key] if key in head else E.sections.get(key) for key in keys}, sort_keys=True)


def folder_state(folder):
    """Names, sizes and times of a folder's files, or of one file: what is added or exchanged makes the rule run again."""
    files = sorted(path for path in [Path(folder), *Path(folder).rglob("*")] if path.is_file()) if folder else []
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(state).encode()).hexdigest()  # short: labels may be tens of thousands of files


def papermill(notebook):
    """Shell command: run a notebook of analysis/; its file is there once it has ended well."""
    return (
        f"OMP_NUM_THREADS={{threads}} PYTHONHASHSEED=0 {PYTHON} -m semanticcmc execute {ANALYSIS / notebook} {{output.notebook}} "
        f"-p experiment={E.file} {{params.parameters}} > {{log}} 2>&1"
    )


# Over several GPUs torchrun trains first (--set-resources train:gpu=4); the notebook then finds the network trained.
TORCHRUN = (
    f"{{{{ [ {{resources.gpu}} -le 1 ] || {PYTHON} -m torch.distributed.run --standalone --nproc-per-node {{resources.gpu}} "
    f"-m semanticcmc train {E.file} --network {{wildcards.network}} --seed {{wildcards.seed}} > {{log}} 2>&1; }}}} && "
)


wildcard_constraints:
    seed=r"\d+",
    network=r"[a-z_]+|semantic_[\d.]+s",


localrules: all, site


rule all:
    input:
        "poster/poster.html",
        "poster/poster.pdf",
        "paper/paper.html",
        "paper/paper.pdf",
        "labels/label_nouns.csv" if IMPORTED else [],
        [f"notebooks/{name}.html" for name in NOTEBOOKS],


rule site:  # what the site shows besides: semanticcmc run miniature -- site
    input:
        rules.all.input,
        "notebooks/00_explore.html",
        "notebooks/06_estimators.html",


if WORLD:

    rule world:
        output:
            "frames/index.parquet",
            "frames/films.csv",
            "labels/labels.parquet",
            "labels/label_times.parquet",
            "world/classes.csv",
            "world/look_rdm.parquet",
            "world/met_rdm.parquet",
            "world/shots.parquet",
            "world/theme_rdm.parquet",
            "world/truth.csv",
        log:
            "logs/world.log",
        params:
            settings=settings("world"),
        threads: workflow.cores
        shell:
            "{PYTHON} -m semanticcmc world {E.file} --processes {threads} > {log} 2>&1"

else:

    rule check_stimuli:
        output:
            "stimuli.json",
        log:
            "logs/check_stimuli.log",
        params:
            settings=settings("stimuli"),
            folder=folder_state(E.sections.get("stimuli", {}).get("folder")),
        shell:
            "{PYTHON} -m semanticcmc stimuli {E.file} > {log} 2>&1"

    checkpoint probe_films:
        input:
            "stimuli.json",
        output:
            "frames/probe.csv",
        log:
            "logs/probe_films.log",
        params:
            settings=settings("movies", "lags_s"),
            folder=folder_state(E.sections.get("movies", {}).get("folder")),
        shell:
            "{PYTHON} -m semanticcmc probe {E.file} > {log} 2>&1"

    rule ingest:
        input:
            "frames/probe.csv",
            E.sections.get("movies", {}).get("manifest") or [],
        output:
            touch("frames/{movie_id}.ingested"),
        log:
            "logs/ingest_{movie_id}.log",
        threads: 2
        shell:
            "{PYTHON} -m semanticcmc ingest {E.file} {wildcards.movie_id:q} --threads {threads} > {log} 2>&1"

    def ingested(wildcards):
        """One mark a film that the probe found usable."""
        import pandas

        films = pandas.read_csv(checkpoints.probe_films.get().output[0], dtype=str, keep_default_na=False)
        return [f"frames/{movie_id}.ingested" for movie_id in films.movie_id[films.problem == ""]]

    rule merge_frames:
        input:
            ingested,
        output:
            "frames/index.parquet",
            "frames/films.csv",
        log:
            "logs/merge_frames.log",
        shell:
            "{PYTHON} -m semanticcmc merge {E.file} > {log} 2>&1"


if IMPORTED:

    rule labels:
        input:
            "frames/probe.csv",
        output:
            "labels/labels.parquet",
            "labels/label_times.parquet",
            "labels/films.csv",
        log:
            "logs/labels.log",
        params:
            settings=settings("imports"),
            folder=folder_state(IMPORTED),
        shell:
            "{PYTHON} -m semanticcmc labels {E.file} > {log} 2>&1"

    rule label_nouns:
        input:
            "labels/labels.parquet",
            "labels/label_times.parquet",
            NOUNS,
            ROOT / "lib" / "semanticcmc" / "data" / "label_nouns.csv",
        output:
            "labels/label_nouns.csv",
            "labels/unmapped_labels.csv",
        log:
            "logs/label_nouns.log",
        shell:
            "{PYTHON} -m semanticcmc nouns {E.file} > {log} 2>&1"


rule statistics:
    input:
        "frames/index.parquet",
        ["labels/labels.parquet", "labels/label_times.parquet"] if WORLD or IMPORTED else [],
        NOUNS,
        code=ANALYSIS / "01_dataset_statistics.ipynb",
    output:
        "tables/dataset.csv",
        "tables/timescales.csv",
        "tables/half_lives.csv",
        "figures/film_strip.svg",
        "figures/persistence.svg",
        notebook="notebooks/01_dataset_statistics.ipynb",
    log:
        "logs/01_dataset_statistics.log",
    params:
        settings=settings("timescales", "prediction", "models", "lags_s", "networks", "views", "activations",
                          "primary_layer", "seeds"),
        parameters="",
    shell:
        papermill("01_dataset_statistics.ipynb")


def run_parameters(wildcards):
    """Papermill parameters of one network: the lag is given where there is one."""
    lag_s = E.network(wildcards.network, int(wildcards.seed)).lag_s
    lagged = wildcards.network.startswith("semantic_")
    network = f"-p network=semantic -p lag_s={lag_s:g}" if lagged else f"-p network={wildcards.network}"
    return f"{network} -p seed={wildcards.seed}"


rule train:
    input:
        "frames/index.parquet",
        code=ANALYSIS / "02_training.ipynb",
    output:
        notebook="notebooks/02_training_{network}_seed-{seed}.ipynb",
    log:
        "logs/02_training_{network}_seed-{seed}.log",
    params:
        settings=settings("networks", "views", "training", "objectives", "lags_s"),
        parameters=run_parameters,
    threads: THREADS
    resources:
        gpu=1,
    shell:
        TORCHRUN + papermill("02_training.ipynb")


rule represent:
    input:
        "notebooks/02_training_{network}_seed-{seed}.ipynb",
        code=ANALYSIS / "03_representations.ipynb",
    output:
        [f"rdms/{{network}}/seed-{{seed}}_{condition}.parquet" for condition in CONDITIONS],
        "rdms/{network}/seed-{seed}_intact_distances.parquet",
        "rdms/{network}/seed-{seed}_accuracy.csv",
        "rdms/{network}/seed-{seed}_noise_ceiling.csv",
        notebook="notebooks/03_representations_{network}_seed-{seed}.ipynb",
    log:
        "logs/03_representations_{network}_seed-{seed}.log",
    params:
        settings=settings("stimuli", "activations", "distance", "intervals", "primary_layer"),
        parameters=run_parameters,
    resources:
        gpu=1,
    shell:
        papermill("03_representations.ipynb")


if UNTRAINED:

    ruleorder: controls > represent

    rule controls:  # the other untrained networks, which need no notebook: their mean RDM is the control `random`
        input:
            "frames/index.parquet" if WORLD else "stimuli.json",
        output:
            [f"rdms/random/seed-{seed}_{kind}.parquet" for seed in UNTRAINED for kind in (*CONDITIONS, "intact_distances")],
            [f"rdms/random/seed-{seed}.json" for seed in UNTRAINED],
        log:
            "logs/controls.log",
        params:
            settings=settings("networks", "views", "stimuli", "activations", "distance", "world"),
        resources:
            gpu=1,
        shell:
            "OMP_NUM_THREADS={threads} {PYTHON} -m semanticcmc controls {E.file} > {log} 2>&1"


# Not part of the poster: semanticcmc run <experiment> -- tables/classification.csv
rule classification:
    input:
        [f"notebooks/02_training_{network}_seed-{seed}.ipynb" for network, seed in RUNS],
    output:
        "tables/classification.csv",
    log:
        "logs/classification.log",
    params:
        settings=settings("classification", "stimuli", "activations"),
    resources:
        gpu=1,
    shell:
        "{PYTHON} -m semanticcmc classify {E.file} > {log} 2>&1"


rule lag_curve:
    input:
        [f"rdms/{network}/seed-{seed}_{condition}.parquet" for network, seed in RUNS for condition in CONDITIONS],
        [f"rdms/random/seed-{seed}_{condition}.parquet" for seed in UNTRAINED for condition in CONDITIONS],
        [f"rdms/{network}/seed-{seed}_{measure}.csv" for network, seed in RUNS for measure in ("accuracy", "noise_ceiling")],
        "tables/dataset.csv",
        code=ANALYSIS / "04_lag_curve.ipynb",
    output:
        "tables/lag_curve.csv",
        "tables/lag_comparisons.csv",
        "tables/joint.csv",
        "tables/accuracy.csv",
        "tables/noise_ceiling.csv",
        "tables/connectivity.csv",
        "figures/lag_curve.svg",
        "figures/rdms.svg",
        "figures/dissociation.svg",
        [f"figures/{name}.svg" for name in ("controls", "lag_comparisons", "noise_ceiling", "layers", "accuracy", "connectivity")],
        "figures/lag_curve_conditions.svg" if len(CONDITIONS) > 1 else [],
        notebook="notebooks/04_lag_curve.ipynb",
    log:
        "logs/04_lag_curve.log",
    params:
        settings=settings("evaluation", "primary_layer", "title"),
        parameters="",
    shell:
        papermill("04_lag_curve.ipynb")


rule robustness:
    input:
        [f"rdms/{network}/seed-{seed}_{kind}.parquet" for network, seed in RUNS for kind in ("intact", "intact_distances")],
        [f"rdms/random/seed-{seed}_{kind}.parquet" for seed in UNTRAINED for kind in ("intact", "intact_distances")],
        code=ANALYSIS / "07_robustness.ipynb",
    output:
        "tables/robustness.csv",
        "figures/robustness.svg",
        notebook="notebooks/07_robustness.ipynb",
    log:
        "logs/07_robustness.log",
    params:
        settings=settings("evaluation", "activations", "primary_layer", "title"),
        parameters="",
    shell:
        papermill("07_robustness.ipynb")


rule estimators:  # no part of the poster: shows what python -m validation.estimators found
    input:
        code=ANALYSIS / "06_estimators.ipynb",
        study=[path for ending in ("csv", "json", "png") for path in sorted((ROOT / "validation").glob(f"estimators*.{ending}"))],
    output:
        notebook="notebooks/06_estimators.ipynb",
    log:
        "logs/06_estimators.log",
    params:
        parameters="",
    shell:
        papermill("06_estimators.ipynb")


rule explore:  # no part of the poster: stills in place of widgets, for the site; writes into explore/ besides
    input:
        "tables/lag_curve.csv",
        code=ANALYSIS / "00_explore.ipynb",
    output:
        notebook="notebooks/00_explore.ipynb",
    log:
        "logs/00_explore.log",
    params:
        settings=settings("evaluation", "primary_layer", "title", "lags_s"),
        parameters="",
    shell:
        papermill("00_explore.ipynb")


rule wordnet:
    input:
        "tables/lag_curve.csv",
        published=ROOT / "data_manifests" / "published_results.csv",
        study=[ROOT / "validation" / f"real_images.{ending}" for ending in ("csv", "json", "png")],
        code=ANALYSIS / "05_wordnet.ipynb",
    output:
        "tables/published.csv",
        notebook="notebooks/05_wordnet.ipynb",
    log:
        "logs/05_wordnet.log",
    params:
        settings=settings("evaluation"),
        parameters="",
    shell:
        papermill("05_wordnet.ipynb")


rule pages:  # one process for all: what it imports would cost more than its work
    input:
        notebooks=[f"notebooks/{name}.ipynb" for name in NOTEBOOKS],
        style=[ROOT / "papers" / "notebook.lua", ROOT / "papers" / "notebook.css"],
    output:
        [f"notebooks/{name}.html" for name in NOTEBOOKS],
    log:
        "logs/pages.log",
    shell:
        "PYTHONPATH={ROOT}/lib:{ROOT} {PYTHON} -m papers.build.notebook_pages {input.notebooks} > {log} 2>&1"


rule page_for_the_site:
    input:
        notebook="notebooks/{name}.ipynb",
        style=[ROOT / "papers" / "notebook.lua", ROOT / "papers" / "notebook.css"],
    output:
        "notebooks/{name}.html",
    wildcard_constraints:
        name="00_explore|06_estimators",
    log:
        "logs/page_{name}.log",
    shell:
        "PYTHONPATH={ROOT}/lib:{ROOT} {PYTHON} -m papers.build.notebook_pages {input.notebook} > {log} 2>&1"


rule poster:
    input:
        "tables/dataset.csv",
        "tables/timescales.csv",
        "tables/half_lives.csv",
        "tables/lag_curve.csv",
        "tables/lag_comparisons.csv",
        "tables/joint.csv",
        "tables/accuracy.csv",
        "tables/published.csv",
        "figures/film_strip.svg",
        "figures/persistence.svg",
        "figures/lag_curve.svg",
        "figures/rdms.svg",
        "figures/dissociation.svg",
        citation=ROOT / "CITATION.cff",
        papers=sorted(path for path in (ROOT / "papers").iterdir() if path.suffix in (".qmd", ".lua", ".typst", ".css", ".svg", ".bib", ".yml")),
    output:
        "poster/poster.html",
        "poster/poster.pdf",
    log:
        "logs/poster.log",
    params:
        settings=settings("title", "seeds", "lags_s", "world", "training", "evaluation"),
    shell:
        "PYTHONPATH={ROOT}/lib:{ROOT} {PYTHON} -m papers.build.render {E.file} poster > {log} 2>&1"


rule paper:
    input:
        "tables/dataset.csv",
        "tables/timescales.csv",
        "tables/half_lives.csv",
        "tables/lag_curve.csv",
        "tables/lag_comparisons.csv",
        "tables/joint.csv",
        "tables/accuracy.csv",
        "tables/published.csv",
        "tables/robustness.csv",
        "figures/persistence.svg",
        "figures/lag_curve.svg",
        "figures/rdms.svg",
        "figures/dissociation.svg",
        "figures/robustness.svg",
        citation=ROOT / "CITATION.cff",
        papers=sorted(path for path in (ROOT / "papers").iterdir() if path.name.removeprefix("_").startswith(("paper", "references", "words"))),
        studies=[ROOT / "validation" / name for name in ("quoted.yml", "timescales.png")],
    output:
        "paper/paper.html",
        "paper/paper.pdf",
    log:
        "logs/paper.log",
    params:
        settings=settings("title", "seeds", "lags_s", "world", "movies", "stimuli", "networks", "views", "training", "evaluation",
                          "timescales"),
    shell:
        "PYTHONPATH={ROOT}/lib:{ROOT} {PYTHON} -m papers.build.render {E.file} paper > {log} 2>&1"
