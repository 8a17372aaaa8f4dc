"""The command line: one command, a verb for each thing to be done.

semanticcmc run miniature                              from films, or a drawn world, to the poster
semanticcmc run clips --films ~/films --stimuli ~/images
semanticcmc run poster -- --profile slurm              what follows -- goes to Snakemake
semanticcmc show miniature                             every value of an experiment, and where it stands

Exit status 0: done; 1: a job failed; 2: input that cannot be used, after ``error: ...`` that says why.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from semanticcmc.config import InputError, configure, one_of
from semanticcmc.experiment import load_experiment, read_values, repository_root
from semanticcmc.run import DiskFullError, Stopped, TrainingError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)

# Verbs that take an experiment and nothing else: the function that does the work, and what it does.
OF_AN_EXPERIMENT = {
    "probe": ("films.ingest:probe_films", "Open every film and write frames/probe.csv."),
    "merge": ("films.ingest:merge_films", "Write frames/index.parquet and frames/films.csv of the films ingested."),
    "labels": ("labels.ingest:import_experiment", "Import the labels, and match them with the films."),
    "nouns": ("labels.nouns:write_label_nouns", "Find WordNet's nouns for the labels, and list labels without one."),
    "stimuli": ("evaluation.stimulus_checks:check_stimuli", "Open every stimulus and write stimuli.json."),
    "controls": ("evaluation.rdm_files:make_controls", "Write RDMs of the untrained networks of the control random."),
}
Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="name in analysis/experiments, or path of a YAML")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    try:
        app(args=arguments, prog_name="semanticcmc")
    except SystemExit as ended:  # how typer ends, also after a wrong option
        return int(ended.code or 0)
    except (InputError, DiskFullError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError) else 2
    return 0


@contextlib.contextmanager
def _told_in_a_line() -> Iterator[None]:
    """What was stopped by hand, and that it is saved; typer shows nothing of an interrupt."""
    try:
        yield
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        raise typer.Exit(128 + signal.SIGINT) from stopped


@app.command()
def run(
    experiment: Name,
    snakemake: Annotated[list[str] | None, typer.Argument(help="after --: targets and options of Snakemake")] = None,
    films: Annotated[str | None, typer.Option(help="folder of video files")] = None,
    stimuli: Annotated[str | None, typer.Option(help="folder of class folders, each named by its wnid")] = None,
    labels: Annotated[str | None, typer.Option(help="folder or file of labels in time")] = None,
    photographs: Annotated[str | None, typer.Option(help="folder with train and test, as world.photographs")] = None,
    seeds: Annotated[int | None, typer.Option(help="seeds 0 .. N-1 instead of the experiment's own")] = None,
    results: Annotated[str | None, typer.Option(help="where results/<experiment> go; default: results")] = None,
    cores: Annotated[int | None, typer.Option(help="default: all there are")] = None,
) -> None:
    """Run an experiment from films, or the world, to its poster, or what follows --."""
    from semanticcmc import workflow

    given: dict[str, Any] = {"films": films, "stimuli": stimuli, "labels": labels, "seeds": seeds}
    raise typer.Exit(workflow.run(experiment, results, cores, snakemake or (), photographs=photographs, **given))


@app.command()
def execute(
    notebook: Path,
    output: Path,
    parameter: Annotated[list[str] | None, typer.Option("-p", "--parameter", help="such as -p lag_s=90")] = None,
) -> None:
    """Run a notebook by papermill; OUTPUT is there once it has ended well."""
    import yaml

    from semanticcmc.workflow import execute_notebook

    pairs = [one.partition("=") for one in parameter or ()]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise InputError(f"-p {wrong[0]}: expected a name and its value, such as -p lag_s=90")
    with _told_in_a_line():
        execute_notebook(notebook, output, {name: yaml.safe_load(value) for name, _, value in pairs})


@app.command()
def show(experiment: Name) -> None:
    """Print an experiment as one whole YAML; a comment behind each value says which file it stands in."""
    import yaml

    values, origins, _ = read_values(experiment)

    def lines(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
        for key, value in values.items():
            here, indent = (*above, str(key)), "  " * len(above)
            if isinstance(value, Mapping) and value:
                yield f"{indent}{key}:"
                yield from lines(value, here)
            else:
                text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").rstrip()
                yield f"{indent}{key}: {text}".ljust(60) + f"  # {origins[here]}"

    print(*lines(values, ()), sep="\n")


@app.command()
def world(experiment: Name, processes: Annotated[int | None, typer.Option(help="at most")] = None) -> None:
    """Draw the films, labels and stimuli of an experiment's world."""
    from semanticcmc.world.build import build
    from semanticcmc.world.config import WorldConfig

    E = load_experiment(experiment)
    build(E.section("world", WorldConfig), E.folder, processes)


@app.command()
def films(
    folder: Path,
    manifest: Annotated[Path | None, typer.Option(help="the list; default: data_manifests/films.csv")] = None,
) -> None:
    """Fill the list of a study's films: titles, checksums, lengths."""
    from semanticcmc.films.manifest import fill_manifest, read_manifest

    manifest = manifest or repository_root() / "data_manifests" / "films.csv"
    print("\n".join(fill_manifest(folder, manifest, manifest.parent / ".checksums")), file=sys.stderr)
    print(f"{len(read_manifest(manifest))} films in {manifest}")


@app.command()
def ingest(
    experiment: Name, movie_id: str, threads: Annotated[int, typer.Option(help="0: as many as there are cores")] = 0
) -> None:
    """Write one film's frames into the frame store, unless they stand there."""
    from semanticcmc.films.ingest import ingest_film

    ingest_film(load_experiment(experiment), movie_id, threads)


@app.command()
def train(
    experiment: Name,
    network: Annotated[str, typer.Option(help="such as semantic_60s, augment, random")],
    seed: Annotated[int, typer.Option(help="of the initial weights and all sampling")] = 0,
) -> None:
    """Train one network; several processes train it together where torchrun starts them."""
    from semanticcmc.evaluation.represent import watched_stimuli
    from semanticcmc.training import loop, recipe
    from semanticcmc.training.distributed import joined

    E = load_experiment(experiment)
    with _told_in_a_line(), joined(recipe.choose_device(E.section("training", recipe.TrainingConfig))):
        one = E.network(network, seed)
        print(loop.Run(E, one).train(test=watched_stimuli(E, one)))


@app.command()
def classify(
    experiment: Name, network: Annotated[list[str] | None, typer.Option(help="default: all networks")] = None
) -> None:
    """Linear probes of every layer; writes tables/classification.csv."""
    from semanticcmc.evaluation.probes import classification

    print(classification(load_experiment(experiment), network).to_string(index=False))


@app.command()
def score(
    networks: Annotated[list[str], typer.Argument(help="name, name:FILE, checkpoint, module:function, file of RDMs")],
    stimuli: Annotated[Path | None, typer.Option(help="folder of class folders, each named by its wnid")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="module of the network; default: at most 8, evenly")] = None,
    model: Annotated[list[str] | None, typer.Option(help="category, lch (both by default), path, wu_palmer")] = None,
    model_file: Annotated[list[Path] | None, typer.Option(help="distances, embedding or categories; repeats")] = None,
    control: Annotated[str, typer.Option(help="random: untrained networks of the architecture; none")] = "random",
    seeds: Annotated[int, typer.Option(min=3, help="so many untrained networks")] = 5,
    tokens: Annotated[str, typer.Option(help="mean: class and mean token, means of maps; all: every unit")] = "mean",
    max_memory: Annotated[float, typer.Option(help="GiB; layers beyond it are seen in passes of their own")] = 4.0,
    images_per_class: Annotated[int | None, typer.Option(help="at most so many; default: all")] = None,
    batch_size: Annotated[int, typer.Option(help="images at a time")] = 16,
    permutations: Annotated[int, typer.Option(help="at least so many")] = 9999,
    bootstrap: Annotated[int, typer.Option(help="samples of the classes; 0: no intervals")] = 1000,
    results: Annotated[Path, typer.Option(help="folder for RDMs, tables and their record")] = Path("score"),
) -> None:
    """Score any networks on pictures of one's own: RDMs against semantic models, beside untrained networks."""
    from semanticcmc.evaluation.config import EvaluationConfig
    from semanticcmc.scoring import score as scoring

    seen: dict[str, Any] = {"layers": layers or (), "tokens": tokens, "images_per_class": images_per_class}
    seen |= {"batch_size": batch_size, "max_memory_gib": max_memory, "distance": "correlation"}
    one_of("--control", control, ("random", "none"))
    others = range(1, seeds + 1)  # <name>:untrained has seed 0, and would be in its own control
    seen |= {"seeds": list(others) if control == "random" else []}
    files = {path.stem: str(path) for path in model_file or ()}
    tests = {"permutations": permutations, "bootstrap_samples": bootstrap, "model_files": files}
    named = [*(model or ([] if files else ["category", "lch"])), *(path.stem for path in model_file or ())]
    tests |= {"models": named, "random_seeds": seen["seeds"]}
    extraction = configure(scoring.ExtractionConfig, seen, "score")
    scoring.score(networks, results, stimuli, extraction, configure(EvaluationConfig, scoring.TESTS | tests, "score"))
    print(f"{results / 'tables' / 'scores.csv'}; a page of it: python -m papers.scored {results}")


@app.command()
def label(
    experiment: Name,
    network: Annotated[str, typer.Option(help="detector or classifier of torchvision, or name:FILE with weights")],
    least_confidence: Annotated[float, typer.Option(help="of a label, %; labels.least_confidence may ask more")] = 5.0,
    least_area: Annotated[float, typer.Option(help="share of the picture that a detector's box covers")] = 0.0,
    batch_size: Annotated[int, typer.Option(help="frames at a time")] = 8,
) -> None:
    """Label the frames of films, once ingested, by a network: writes detected/, a source for labels.path."""
    from semanticcmc.scoring.detect import DetectionConfig, label_films

    E = load_experiment(experiment)
    said = {"least_confidence": least_confidence, "least_area": least_area, "batch_size": batch_size}
    found = label_films(E, network, configure(DetectionConfig, said, "label"))
    print(f"{found}; they count where labels.path names them: LABELS={E.folder / 'detected'}")


def _of_an_experiment(place: str) -> Callable[[str], None]:
    """A command that loads an experiment and hands it to a function, imported when it is called."""
    module, function = place.split(":")

    def command(experiment: Name) -> None:
        getattr(importlib.import_module(f"semanticcmc.{module}"), function)(load_experiment(experiment))

    return command


for _verb, (_place, _help) in OF_AN_EXPERIMENT.items():
    app.command(_verb, help=_help)(_of_an_experiment(_place))
