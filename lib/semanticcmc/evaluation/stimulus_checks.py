"""Open every stimulus before anything long starts: all problems at once, and what a user should know.

``semanticcmc stimuli <experiment>`` writes ``stimuli.json``.
"""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image

from semanticcmc.config import InputError
from semanticcmc.evaluation.conditions import MASKED
from semanticcmc.evaluation.config import StimuliConfig
from semanticcmc.evaluation.stimuli import class_folders, shown, stimulus_folder
from semanticcmc.experiment import Experiment
from semanticcmc.films.pictures import FORMATS, SUFFIXES, images_in, read_image
from semanticcmc.rsa.rdm import FEWEST_CLASSES
from semanticcmc.rsa.wordnet import REMEDY, extended, read_taxonomy
from semanticcmc.run import available_cores, counted, write_json

_SHOWN = 20  # problems spelled out in one message


def probe(folder: str | Path, config: StimuliConfig) -> pd.DataFrame:
    """Open every image of every class folder to its end, and the masks that are needed, before anything long starts.

    Returned is a DataFrame: one row an image: wnid, path, width, height (pixels), mode (Pillow's), frames (above 1: an
    animation), sorted by wnid and path. An InputError lists all problems at once: images that cannot be read, masks
    that are missing or do not fit, classes without an image, folders whose name is no wnid or one that the WordNet
    taxonomy lacks, fewer than 4 classes.
    """
    folder = Path(folder)
    problems, rows = [], []
    classes = class_folders(folder)
    known = extended(read_taxonomy(), [path.name for path in classes]).hypernyms
    for path in classes:
        if not re.fullmatch(r"n\d{8}", path.name):
            problems.append(f"{path}: {path.name!r} is no WordNet id such as n02084071; rename it or move it away")
        elif path.name not in known:
            problems.append(f"{path}: {path.name} is not in the WordNet taxonomy; {REMEDY}")
        images = images_in(path)
        if not images:
            problems.append(f"{path}: no image in it ({', '.join(SUFFIXES)}); add some or remove it")
        rows += [(path.name, image) for image in images]
    if len(classes) < FEWEST_CLASSES:
        problems.append(f"{folder}: {len(classes)} classes; at least {FEWEST_CLASSES} are needed")
    with ThreadPoolExecutor(available_cores()) as threads:
        found = list(threads.map(lambda row: _look(row[1], config), rows))
    problems += [look for look in found if isinstance(look, str)]
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        said = "\n  ".join(["", *problems[:_SHOWN], *more])
        raise InputError(f"{folder}: {len(problems)} problems among the stimuli:{said}")
    table = pd.DataFrame(found, columns=["width", "height", "mode", "frames"])
    table.insert(0, "wnid", [wnid for wnid, _ in rows])
    table.insert(1, "path", [str(path) for _, path in rows])
    return table


def _look(path: Path, config: StimuliConfig) -> tuple[int, int, str, int] | str:
    """Size, mode and number of frames of an image that can be read, else what is wrong with it or its mask."""
    try:
        upright = read_image(path)
        for condition in set(MASKED) & set(config.conditions):
            shown(path, upright, condition, config)
        with Image.open(path, formats=FORMATS) as image:
            return (*upright.size, image.mode, getattr(image, "n_frames", 1))
    except InputError as error:
        return str(error)


def remarks(table: pd.DataFrame) -> list[str]:
    """What a user should know about stimuli that are all usable, from the table of `probe`.

    One sentence each on classes with a single image, files that are converted, animations.
    """
    said = []
    counts = table["wnid"].value_counts()
    if single := sorted(counts.index[counts == 1]):
        said.append(
            f"{len(single)} of {len(counts)} classes have a single image ({', '.join(single[:5])}"
            f"{', ...' if len(single) > 5 else ''}): RDMs can be made, but no accuracy of single images, "
            "nor the reliability of an RDM by halves"
        )
    for mode, files in table[table["mode"] != "RGB"].groupby("mode"):
        count = counted(len(files), "image")
        said.append(f"{count} of Pillow's mode {mode}, brought to 8-bit RGB (such as {files['path'].iloc[0]})")
    if len(moving := table[table["frames"] > 1]):
        said.append(
            f"{counted(len(moving), 'animation')}, of which the first frame is shown (such as {moving['path'].iloc[0]})"
        )
    return said


def check_stimuli(experiment: Experiment) -> None:
    """Open every stimulus of an experiment and write ``stimuli.json``; errors as of `probe`."""
    folder = stimulus_folder(experiment)
    table = probe(folder, experiment.section("stimuli", StimuliConfig))
    counts, said = table["wnid"].value_counts(), remarks(table)
    there = (path for one in class_folders(folder) for path in one.iterdir() if not path.name.startswith("."))
    if other := [path for path in there if path.suffix.lower() not in (*SUFFIXES, ".db", ".ini", ".txt")]:
        said.append(f"{counted(len(other), 'file')} of other kinds among the images, not shown (such as {min(other)})")
    found = {
        "folder": folder,
        "classes": len(counts),
        "images": len(table),
        "fewest_images_a_class": int(counts.min()),
        "most_images_a_class": int(counts.max()),
        "modes": table["mode"].value_counts().to_dict(),
        "remarks": said,
    }
    write_json(experiment.path("stimuli.json"), found)
    print(f"{folder}: {len(table)} images of {len(counts)} classes, all readable", *said, sep="\n", file=sys.stderr)
