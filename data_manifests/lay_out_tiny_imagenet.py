"""Lay out Tiny-ImageNet as `world.photographs` takes it: train/<wnid>/, test/<wnid>/ and boxes.csv.

    python data_manifests/lay_out_tiny_imagenet.py tiny-imagenet-200 photographs [train a class] [test a class]

`tiny-imagenet-200` is the folder in http://cs231n.stanford.edu/tiny-imagenet-200.zip (for research; its photographs are
others'). Of each class the first 100 training photographs go to ``train``, and the first 25 of its validation set to
``test``, by number. Files are copied; the source stays as it is.
"""

import csv
import re
import shutil
import sys
from collections import defaultdict
from pathlib import Path


def number(line):
    """Number in a file's name: 12 of n01443537_12.JPEG and val_12.JPEG."""
    return int(re.findall(r"\d+", line[0])[-1])


def lines(file):
    """Lines of a table without a head, split at tabs."""
    return [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line]


def main(source, target, for_films=100, for_stimuli=25):
    """Copy the photographs of all classes, and gather their boxes."""
    if not (source / "val" / "val_annotations.txt").is_file():
        raise SystemExit(f"error: {source}: no val/val_annotations.txt; name the folder in tiny-imagenet-200.zip")
    chosen = defaultdict(list)
    for name, wnid, *box in sorted(lines(source / "val" / "val_annotations.txt"), key=number):
        chosen["test", wnid].append((source / "val" / "images" / name, box))
    chosen = {key: own[: int(for_stimuli)] for key, own in chosen.items()}
    for file in sorted((source / "train").glob("*/*_boxes.txt")):
        own = sorted(lines(file), key=number)[: int(for_films)]
        chosen["train", file.parent.name] = [(file.parent / "images" / name, box) for name, *box in own]
    target.mkdir(parents=True, exist_ok=True)
    with (target / "boxes.csv").open("w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["file", "x0", "y0", "x1", "y1"])
        for (part, wnid), own in chosen.items():
            (target / part / wnid).mkdir(parents=True, exist_ok=True)
            for path, box in own:
                shutil.copyfile(path, target / part / wnid / path.name)
                table.writerow([f"{part}/{wnid}/{path.name}", *box])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5])
