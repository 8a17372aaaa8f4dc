"""Does the miniature's result hang on a choice? The robustness panel over three seeds (half an hour on 2 cores).

    python -m validation.robustness            (goes on where it stopped)

Every network of experiments/miniature.yaml, seeds 0 to 2, and every row of `semanticcmc.evaluation.robustness`:
distances and spatial mean, layers, controls (each of five untrained networks alone, the L / ab network, the true
looks, none), one category left out, Spearman between RDMs. Networks that are in results/validation/miniature
are used, else they are trained. Writes robustness.csv (one row a network, seed, model
and change), a record with the verdict on each network, and a figure of the network that the declared analysis puts
first.
"""

from pathlib import Path

from semanticcmc.evaluation import robustness
from semanticcmc.evaluation.config import ActivationsConfig, EvaluationConfig, StimuliConfig
from semanticcmc.evaluation.lag_curve import Study
from semanticcmc.evaluation.rdm_files import make_controls, network_rdms, rdm_file, write_distance_rdms
from semanticcmc.evaluation.stimuli import StimulusFolder, stimulus_folder
from semanticcmc.experiment import Experiment
from semanticcmc.figures import robustness as plots
from semanticcmc.figures import style
from semanticcmc.figures.tables import Selection
from semanticcmc.rsa.rdm import write_rdms
from semanticcmc.run import Progress, atomic, record, write_json
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.workflow import resolve_experiment
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

HERE = Path(__file__).parent
SEEDS = 3


def represent(experiment: Experiment) -> None:
    """World, networks and RDMs of the experiment, as far as they are not there."""
    if not (experiment.folder / "frames" / "index.parquet").exists():
        build(experiment.section("world", WorldConfig), experiment.folder)
    config = experiment.section("activations", ActivationsConfig)
    distance = experiment.section("evaluation", EvaluationConfig).distance
    stimuli = StimulusFolder(stimulus_folder(experiment), experiment.section("stimuli", StimuliConfig))
    progress = Progress("networks", len(experiment.runs))
    for done, network in enumerate(experiment.runs, start=1):
        trained = load_network(Run(experiment, network).train())
        rdms = network_rdms(trained, stimuli, "intact", config, distance)
        write_rdms(rdm_file(experiment, network, "intact"), rdms)
        write_distance_rdms(experiment, network, trained)
        progress.update(done, str(network))
    make_controls(experiment)


def main() -> None:
    """One table, one record and one figure."""
    experiment = resolve_experiment("miniature", results=HERE.parent / "results" / "validation", seeds=SEEDS)
    represent(experiment)
    config = experiment.section("evaluation", EvaluationConfig)
    spatial_mean = experiment.section("activations", ActivationsConfig).spatial_mean
    rows = robustness.choices(
        robustness.material(experiment), experiment.primary_layer, config.distance, spatial_mean, config.method
    )
    table = robustness.panel(rows, Study(experiment, "intact").models, config)
    with atomic(HERE / "robustness.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    networks = table.network.unique()
    verdicts = [robustness.verdict(table, network, model) for network in networks for model in config.models]
    settings = {"lags_s": experiment.lags_s, **experiment.sections}
    write_json(HERE / "robustness.json", record(settings, seeds=list(range(SEEDS)), verdicts=verdicts))
    best = robustness.largest(table)
    network = best.network[(best.model == config.models[0]) & (best.varied == "declared")].iloc[0]
    style.use_house_style()
    drawn = plots.robustness(table, Selection.of(experiment), network)
    style.caption(drawn.figure, drawn.caption)
    with atomic(HERE / "robustness.png") as temporary:
        drawn.figure.savefig(temporary, dpi=110)
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
