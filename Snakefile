# The pipeline: films, or the miniature world -> frames and labels -> networks, one a lag and seed -> RDMs -> lag curve -> poster and paper.
# Labels alone: -> statistics, and how long associations and their meaning last -> poster.
#
#   make poster EXPERIMENT=miniature              the usual way: checks first, shows the time left, says where everything is
#   semanticcmc run miniature -- --profile slurm        the same on a cluster: lags and films become jobs
#
# Every path below is relative to results/<experiment>/, Snakemake's working directory. A rule's `settings` are the parts
# of the experiment's YAML that it depends on: edit one, and only what depends on it runs again.

import json
import os
import sys
from pathlib import Path

from semanticcmc.workflow.contents import Contents
from semanticcmc.experiment import load_experiment

E = load_experiment(config.get("experiment", "experiment.yaml"))
ROOT = Path(workflow.basedir)
# Jobs find the checkout by these, so that no command holds a path: results that are moved or copied stay as they are.
os.environ |= {"SEMANTICCMC_ROOT": str(ROOT), "SEMANTICCMC_PYTHON": sys.executable,
               "PYTHONPATH": os.pathsep.join(filter(None, (f"{ROOT}/lib", str(ROOT), os.environ.get("PYTHONPATH"))))}
FORKED = 'PYTHONHASHSEED=0 "$SEMANTICCMC_PYTHON" -m semanticcmc.forks '  # starts at once, where OMP_NUM_THREADS is 1
COMMAND = "OMP_NUM_THREADS=1 " + FORKED + "semanticcmc "
CONTENTS = Contents(ROOT, Path(".contents.json"))
RUNS = [(network, seed) for network in E.networks for seed in E.seeds]
CURVE = [run for run in RUNS if run[0] in E.on_the_curve.networks]  # those of the lag curve; the rest are of other objectives
THREADS = max(1, workflow.cores // max(1, len(RUNS))) if workflow.cores else 1
WORLD = E.source == "world"
ALONE = E.labels_alone  # no frames, networks and paper
CONDITIONS = E.sections["stimuli"]["conditions"]  # of the stimuli: RDMs of its own for each
RANDOM = "random" in E.sections["evaluation"]["controls"]  # the mean RDM of several untrained networks as a control
RANDOM_SEEDS = sorted({*E.sections["evaluation"]["random_seeds"], *E.seeds}) if RANDOM and not ALONE else []
NOTEBOOKS = ["01_dataset_statistics", "05_wordnet"]
NOTEBOOKS += [] if ALONE else ["04_lag_curve", "07_robustness", *(["08_objectives"] if CURVE != RUNS else [])]
NOTEBOOKS += [f"{name}_{network}_seed-{seed}" for name in ("02_training", "03_representations") for network, seed in RUNS]
UNTRAINED = [seed for seed in RANDOM_SEEDS if ("random", seed) not in RUNS]  # those that no notebook makes
IMPORTED = None if WORLD else E.sections.get("labels", {}).get("path")  # folder or file of labels of films, if there is one
NOUNS = (IMPORTED and E.sections["labels"].get("nouns")) or []  # table of labels' nouns of one's own, if there is one


def settings(*keys):
    """The parts of the experiment that a rule depends on, files by their content, as text whatever the order of keys."""
    head = {"lags_s": E.lags_s, "primary_layer": E.primary_layer, "title": E.title, "seeds": E.seeds,
            "planned_lag_s": E.sections.get("evaluation", {}).get("planned_lag_s"),
            "distance": E.sections.get("evaluation", {}).get("distance"),
            "imports": {key: value for key, value in E.sections.get("labels", {}).items() if key != "nouns"},
            "nouns": NOUNS,
            "intervals": [E.sections["evaluation"][key] for key in ("method", "bootstrap_samples", "confidence", "seed")]}
    chosen = {key: head[key] if key in head else E.sections.get(key) for key in keys}
    return json.dumps(CONTENTS.values(chosen), sort_keys=True)


def notebook(name):
    """Digest of a notebook of analysis/ and of the package, which it calls."""
    return CONTENTS.of(f"analysis/{name}.ipynb") + CONTENTS.code("semanticcmc.study")

PAGES = CONTENTS.code("papers.build.notebook_pages")
PAGES += CONTENTS.of("papers/notebook.lua", "papers/notebook.css", *sorted((ROOT / "validation").glob("*.json")))
DOCUMENTS = CONTENTS.code("papers.build.render")
DOCUMENTS += CONTENTS.of("CITATION.cff", "validation/quoted.yml", *sorted((ROOT / "validation").glob("*.png")),
                         *sorted((ROOT / "validation").glob("*.json")), "analysis/experiments/base.yaml",
                         *sorted(path for path in (ROOT / "papers").iterdir() if path.is_file()))


def papermill(name):
    """Shell command: run a notebook of analysis/; its file is there once it has ended well."""
    return (
        "cd notebooks && OMP_NUM_THREADS={threads} " + FORKED + "semanticcmc execute "
        f'"$SEMANTICCMC_ROOT"/analysis/{name}.ipynb ../{{output.notebook:q}} '
        "-p experiment=../experiment.yaml {params.parameters} > ../{log:q} 2>&1"
    )


# Over several GPUs torchrun trains first (--set-resources train:gpu=4); the notebook then finds the network trained.
TORCHRUN = (
    '{{ [ {resources.gpu} -le 1 ] || "$SEMANTICCMC_PYTHON" -m torch.distributed.run --standalone --nproc-per-node {resources.gpu} '
    "-m semanticcmc train experiment.yaml --network {wildcards.network} --seed {wildcards.seed} > {log:q} 2>&1; }} && "
)


wildcard_constraints:
    seed=r"\d+",
    network=r"[a-z][a-z0-9_.]*",
    movie_id=r"[^/]+",


localrules: all, site


rule all:
    input:
        "poster/poster.html",
        "poster/poster.pdf",
        [] if ALONE else ["paper/paper.html", "paper/paper.pdf"],
        "labels/label_nouns.csv" if IMPORTED else [],
        [f"notebooks/{name}.html" for name in NOTEBOOKS],


rule site:  # what the site shows besides: semanticcmc run miniature -- site
    input:
        rules.all.input,
        "notebooks/00_explore.html",
        "notebooks/06_estimators.html",
        "notebooks/08_objectives.html",


if WORLD:

    rule world:
        output:
            "frames/index.parquet",
            "frames/films.csv",
            "labels/labels.parquet",
            "labels/label_times.parquet",
            "world/classes.csv",
            "world/look_rdm.parquet" if E.sections["world"]["objects"] == "drawn" else "world/appearances.csv",
            "world/met_rdm.parquet",
            "world/shots.parquet",
            "world/theme_rdm.parquet",
            "world/truth.csv",
        log:
            "logs/world.log",
        params:
            made_by=CONTENTS.code("semanticcmc.world.build"),
            settings=settings("world"),
        threads: workflow.cores
        shell:
            COMMAND + "world experiment.yaml --processes {threads} > {log:q} 2>&1"

elif not ALONE:

    rule check_stimuli:
        output:
            "stimuli.json",
        log:
            "logs/check_stimuli.log",
        params:
            made_by=CONTENTS.code("semanticcmc.evaluation.stimulus_checks"),
            settings=settings("stimuli"),
        shell:
            COMMAND + "stimuli experiment.yaml > {log:q} 2>&1"

    checkpoint probe_films:
        input:
            "stimuli.json",
        output:
            "frames/probe.csv",
        log:
            "logs/probe_films.log",
        params:
            made_by=CONTENTS.code("semanticcmc.films.ingest"),
            settings=settings("movies", "lags_s"),
        shell:
            COMMAND + "probe experiment.yaml > {log:q} 2>&1"

    rule ingest:
        input:
            "frames/probe.csv",
        output:
            touch("frames/{movie_id}.ingested"),
        log:
            "logs/ingest_{movie_id}.log",
        params:
            made_by=CONTENTS.code("semanticcmc.films.ingest"),
            settings=settings("movies"),
        threads: 2
        shell:
            COMMAND + "ingest experiment.yaml {wildcards.movie_id:q} --threads {threads} > {log:q} 2>&1"

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
        params:
            made_by=CONTENTS.code("semanticcmc.films.ingest"),
        shell:
            COMMAND + "merge experiment.yaml > {log:q} 2>&1"


if IMPORTED:

    rule labels:
        input:
            [] if ALONE else "frames/probe.csv",
        output:
            "labels/labels.parquet",
            "labels/label_times.parquet",
            "labels/films.csv",
        log:
            "logs/labels.log",
        params:
            made_by=CONTENTS.code("semanticcmc.labels.ingest"),
            settings=settings("imports", "nouns"),
        shell:
            COMMAND + "labels experiment.yaml > {log:q} 2>&1"

    rule label_nouns:
        input:
            "labels/labels.parquet",
            "labels/label_times.parquet",
        output:
            "labels/label_nouns.csv",
            "labels/unmapped_labels.csv",
        log:
            "logs/label_nouns.log",
        params:
            made_by=CONTENTS.code("semanticcmc.labels.nouns"),
            settings=settings("nouns"),
        shell:
            COMMAND + "nouns experiment.yaml > {log:q} 2>&1"


rule statistics:
    input:
        [] if ALONE else "frames/index.parquet",
        ["labels/labels.parquet", "labels/label_times.parquet"] if WORLD or IMPORTED else [],
    output:
        "tables/dataset.csv",
        "tables/timescales.csv",
        "tables/half_lives.csv",
        "tables/recommended_lag.csv",
        ["tables/meaning.csv", "tables/meaning_scales.csv", "figures/meaning.svg"] if ALONE else "figures/film_strip.svg",
        "figures/persistence.svg",
        notebook="notebooks/01_dataset_statistics.ipynb",
    log:
        "logs/01_dataset_statistics.log",
    params:
        made_by=notebook("01_dataset_statistics"),
        settings=settings("nouns", "timescales", "planned_lag_s", "lags_s", "networks", "views", "activations", "primary_layer", *(["evaluation"] if ALONE else []),
                          "seeds"),
        parameters="",
    shell:
        papermill("01_dataset_statistics")


def run_parameters(wildcards):
    """Papermill parameters of one network: the lag is given where there is one."""
    lag_s = E.network(wildcards.network, int(wildcards.seed)).lag_s
    lagged = wildcards.network.startswith("semantic_")
    network = f"-p network=semantic -p lag_s={lag_s:g}" if lagged else f"-p network={wildcards.network}"
    return f"{network} -p seed={wildcards.seed}"


rule train:
    input:
        "frames/index.parquet",
    output:
        notebook="notebooks/02_training_{network}_seed-{seed}.ipynb",
    log:
        "logs/02_training_{network}_seed-{seed}.log",
    params:
        made_by=notebook("02_training"),
        settings=settings("networks", "views", "training", "objectives", "lags_s"),
        parameters=run_parameters,
    threads: THREADS
    priority: 1  # the longest jobs first, so that no core waits for one of them at the end
    resources:
        gpu=1,
    shell:
        TORCHRUN + papermill("02_training")


rule represent:
    input:
        "notebooks/02_training_{network}_seed-{seed}.ipynb",
    output:
        [f"rdms/{{network}}/seed-{{seed}}_{condition}.parquet" for condition in CONDITIONS],
        "rdms/{network}/seed-{seed}_intact_distances.parquet",
        "rdms/{network}/seed-{seed}_accuracy.csv",
        "rdms/{network}/seed-{seed}_noise_ceiling.csv",
        "rdms/{network}/seed-{seed}_effective_rank.csv",
        "rdms/{network}/seed-{seed}_category_readout.csv",
        notebook="notebooks/03_representations_{network}_seed-{seed}.ipynb",
    log:
        "logs/03_representations_{network}_seed-{seed}.log",
    params:
        made_by=notebook("03_representations"),
        settings=settings("stimuli", "activations", "distance", "intervals", "primary_layer"),
        parameters=run_parameters,
    resources:
        gpu=1,
    shell:
        papermill("03_representations")


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
            made_by=CONTENTS.code("semanticcmc.evaluation.rdm_files"),
            settings=settings("networks", "views", "stimuli", "activations", "distance", "world"),
        resources:
            gpu=1,
        shell:
            "OMP_NUM_THREADS={threads} " + FORKED + "semanticcmc controls experiment.yaml > {log:q} 2>&1"


# Not part of the poster: semanticcmc run <experiment> -- tables/classification.csv
rule classification:
    input:
        [f"notebooks/02_training_{network}_seed-{seed}.ipynb" for network, seed in RUNS],
    output:
        "tables/classification.csv",
    log:
        "logs/classification.log",
    params:
        made_by=CONTENTS.code("semanticcmc.evaluation.probes"),
        settings=settings("classification", "stimuli", "activations"),
    resources:
        gpu=1,
    shell:
        '"$SEMANTICCMC_PYTHON" -m semanticcmc classify experiment.yaml > {log:q} 2>&1'  # on all cores


rule lag_curve:
    input:
        [f"rdms/{network}/seed-{seed}_{condition}.parquet" for network, seed in CURVE for condition in CONDITIONS],
        [f"rdms/random/seed-{seed}_{condition}.parquet" for seed in UNTRAINED for condition in CONDITIONS],
        [f"rdms/{network}/seed-{seed}_{measure}.csv" for network, seed in CURVE for measure in ("accuracy", "noise_ceiling", "category_readout")],
        "tables/dataset.csv",
    output:
        "tables/lag_curve.csv",
        "tables/lag_comparisons.csv",
        "tables/joint.csv",
        "tables/accuracy.csv",
        "tables/noise_ceiling.csv",
        "tables/connectivity.csv",
        "tables/yardsticks.csv",
        "figures/lag_curve.svg",
        "figures/rdms.svg",
        "figures/dissociation.svg",
        [f"figures/{name}.svg" for name in ("controls", "lag_comparisons", "noise_ceiling", "layers", "accuracy", "connectivity", "yardsticks")],
        "figures/lag_curve_conditions.svg" if len(CONDITIONS) > 1 else [],
        notebook="notebooks/04_lag_curve.ipynb",
    log:
        "logs/04_lag_curve.log",
    params:
        made_by=notebook("04_lag_curve"),
        settings=settings("evaluation", "primary_layer", "title"),
        parameters="",
    shell:
        papermill("04_lag_curve")


rule robustness:
    input:
        [f"rdms/{network}/seed-{seed}_{kind}.parquet" for network, seed in CURVE for kind in ("intact", "intact_distances")],
        [f"rdms/random/seed-{seed}_{kind}.parquet" for seed in UNTRAINED for kind in ("intact", "intact_distances")],
    output:
        "tables/robustness.csv",
        "figures/robustness.svg",
        notebook="notebooks/07_robustness.ipynb",
    log:
        "logs/07_robustness.log",
    params:
        made_by=notebook("07_robustness"),
        settings=settings("evaluation", "activations", "primary_layer", "title"),
        parameters="",
    shell:
        papermill("07_robustness")


rule objectives:  # part of paper and poster's run where the experiment has other objectives; else for the site
    input:
        [f"rdms/{network}/seed-{seed}_intact.parquet" for network, seed in RUNS],
        [f"rdms/random/seed-{seed}_intact.parquet" for seed in UNTRAINED],
        [f"rdms/{network}/seed-{seed}_{measure}.csv" for network, seed in RUNS for measure in ("accuracy", "effective_rank")],
    output:
        "tables/objectives.csv",
        "figures/objectives.svg",
        notebook="notebooks/08_objectives.ipynb",
    log:
        "logs/08_objectives.log",
    params:
        made_by=notebook("08_objectives"),
        study=CONTENTS.of(*sorted((ROOT / "validation").glob("pretexts.*"))),
        settings=settings("evaluation", "objectives", "primary_layer", "title"),
        parameters="",
    shell:
        papermill("08_objectives")


rule estimators:  # no part of the poster: shows what python -m validation.estimators found
    output:
        notebook="notebooks/06_estimators.ipynb",
    log:
        "logs/06_estimators.log",
    params:
        made_by=notebook("06_estimators"),
        study=CONTENTS.of(*sorted((ROOT / "validation").glob("estimators*.*"))),
        parameters="",
    shell:
        papermill("06_estimators")


rule explore:  # no part of the poster: stills in place of widgets, for the site; writes into explore/ besides
    input:
        "tables/lag_curve.csv",
    output:
        notebook="notebooks/00_explore.ipynb",
    log:
        "logs/00_explore.log",
    params:
        made_by=notebook("00_explore"),
        settings=settings("evaluation", "primary_layer", "title", "lags_s"),
        parameters="",
    shell:
        papermill("00_explore")


rule wordnet:
    input:
        "tables/dataset.csv" if ALONE else "tables/lag_curve.csv",
    output:
        [] if ALONE else "tables/published.csv",
        notebook="notebooks/05_wordnet.ipynb",
    log:
        "logs/05_wordnet.log",
    params:
        made_by=notebook("05_wordnet"),
        shown=CONTENTS.of("data_manifests/published_results.csv", *sorted((ROOT / "validation").glob("real_images.*"))),
        settings=settings("evaluation"),
        parameters="",
    shell:
        papermill("05_wordnet")


rule pages:  # one process for all: what it imports would cost more than its work
    input:
        notebooks=[f"notebooks/{name}.ipynb" for name in NOTEBOOKS],
    output:
        [f"notebooks/{name}.html" for name in NOTEBOOKS],
    log:
        "logs/pages.log",
    params:
        made_by=PAGES,
    shell:
        "OMP_NUM_THREADS=1 " + FORKED + 'papers.build.notebook_pages {input.notebooks:q} > {log:q} 2>&1'


rule page_for_the_site:
    input:
        notebook="notebooks/{name}.ipynb",
    output:
        "notebooks/{name}.html",
    wildcard_constraints:
        name="|".join(name for name in ("00_explore", "06_estimators", "08_objectives") if name not in NOTEBOOKS),
    log:
        "logs/page_{name}.log",
    params:
        made_by=PAGES,
    shell:
        "OMP_NUM_THREADS=1 " + FORKED + 'papers.build.notebook_pages {input.notebook:q} > {log:q} 2>&1'


rule poster:
    input:
        [f"tables/{name}.csv" for name in ("dataset", "timescales", "half_lives", "recommended_lag")],
        "figures/persistence.svg",
        [f"tables/{name}.csv" for name in (["meaning", "meaning_scales"] if ALONE else
                                           ["lag_curve", "lag_comparisons", "joint", "accuracy", "published"])],
        [f"figures/{name}.svg" for name in (["meaning"] if ALONE else ["film_strip", "lag_curve", "rdms", "dissociation"])],
    output:
        "poster/poster.html",
        "poster/poster.pdf",
    log:
        "logs/poster.log",
    params:
        made_by=DOCUMENTS,
        settings=settings("title", "seeds", "lags_s", "world", "training", "evaluation"),
    shell:
        "OMP_NUM_THREADS=1 " + FORKED + 'papers.build.render experiment.yaml poster > {log:q} 2>&1'


rule paper:
    input:
        "tables/dataset.csv",
        "tables/timescales.csv",
        "tables/half_lives.csv",
        "tables/recommended_lag.csv",
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
        ["tables/objectives.csv", "figures/objectives.svg"] if CURVE != RUNS else [],
    output:
        "paper/paper.html",
        "paper/paper.pdf",
    log:
        "logs/paper.log",
    params:
        made_by=DOCUMENTS,
        settings=settings("title", "seeds", "lags_s", "world", "movies", "stimuli", "networks", "views", "training", "evaluation",
                          "timescales"),
    shell:
        "OMP_NUM_THREADS=1 " + FORKED + 'papers.build.render experiment.yaml paper > {log:q} 2>&1'


CONTENTS.save()
