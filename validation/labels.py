"""Labels of 100 films, as many as published: do they come in whole, within 8 GiB, and how long does it take?

    python -m validation.labels [--films 100] [--scratch FOLDER]

Draws 158.4 h of film with 2,851,272 label sets and some 41 million labels (2,500 names, frequencies that fall with
their rank), written as Amazon Rekognition gives them: pages of 1,000 labels, here packed by gzip (some 10 GB as plain
text), in no order, stamps of the frames of 23.976/s. Then imports them, reads the stream and makes the presence matrix
of the 150 most frequent labels, each in a process of its own, whose largest memory is taken down. What was drawn is
the truth: numbers of label sets and labels, and how often each of the 150 occurs. Writes validation/labels.csv and a
record beside it.
"""

import argparse
import gzip
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from validation.presence import presence_matrix

from semanticcmc.labels.ingest import import_labels
from semanticcmc.labels.stream import LabelsConfig, frequencies, read_labels
from semanticcmc.run import Progress, atomic, record, write_json

HERE = Path(__file__).parent
FILMS, LABEL_SETS, LABELS, NAMES, PAGE = 100, 2_851_272, 41_000_000, 2500, 1000
INTERVAL_S, FPS = 0.2, 24000 / 1001
CONFIG = LabelsConfig(
    path=None,
    interval_s=None,
    least_confidence=0.0,
    parents=False,
    event_columns=(),
    join_runs=False,
    nouns=None,
    widen_s=(0.0, 0.0),
)


def probabilities():
    """Share of label sets that hold each name, most frequent first; their sum is the labels of a set."""
    falling = 1 / (np.arange(NAMES) + 2.0)
    low, high = 0.0, LABELS
    for _ in range(60):  # the factor that gives the sum, by halving
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(0.8, middle * falling).sum() < LABELS / LABEL_SETS else (low, middle)
    return np.minimum(0.8, low * falling)


def lengths(films):
    """Label sets of each film; of all 100 as many as published."""
    share = np.random.default_rng(0).uniform(0.6, 1.4, FILMS)
    ends = np.rint(np.cumsum(share) / share.sum() * LABEL_SETS).astype(int)
    return np.diff(ends, prepend=0)[:films]


def draw_film(folder, number, label_sets, shares):
    """Write one film's pages; returns how often each name was drawn."""
    rng = np.random.default_rng([1, number])
    steps, names = [], []
    for first in range(0, label_sets, 2000):  # that the random numbers of a film need little memory
        step, name = np.nonzero(rng.random((min(2000, label_sets - first), NAMES), dtype=np.float32) < shares)
        steps.append(step + first)
        names.append(name)
    step, name = np.concatenate(steps), np.concatenate(names)
    stamps = np.rint(np.floor(step * INTERVAL_S * FPS + 1e-6) / FPS * 1000).astype(int).tolist()
    heads = [f'"Label":{{"Name":"Label {k:04d}","Confidence":' for k in range(NAMES)]
    tails = [
        f',"Instances":[],"Parents":[{{"Name":"Label {k // 10:04d}"}}],"Aliases":[],'
        f'"Categories":[{{"Name":"Category {k % 25}"}}]}}}}'
        for k in range(NAMES)
    ]
    sure = rng.uniform(50, 100, len(name)).tolist()
    entries = [
        f'{{"Timestamp":{t},{heads[k]}{c:.4f}{tails[k]}' for t, k, c in zip(stamps, name.tolist(), sure, strict=True)
    ]
    film = folder / f"film {number:03d}"
    film.mkdir(parents=True)
    pages = range(0, max(1, len(entries)), PAGE)
    metadata = f'"VideoMetadata":{{"DurationMillis":{round(label_sets * INTERVAL_S * 1000)},"FrameRate":{FPS}}}'
    for page, place in zip(pages, rng.permutation(len(pages)), strict=True):
        token = "" if page == pages[-1] else f',"NextToken":"page {page}"'
        text = f'{{"JobStatus":"SUCCEEDED",{metadata},"Labels":[{",".join(entries[page : page + PAGE])}]{token}}}'
        (film / f"{place:05d}.json.gz").write_bytes(gzip.compress(text.encode(), compresslevel=1))
    return np.bincount(name, minlength=NAMES)


def draw(folder, films):
    """Write all films; returns the numbers of label sets and of each name."""
    shares, counts, progress = probabilities(), np.zeros(NAMES, dtype=int), Progress("films drawn", films)
    for number, label_sets in enumerate(lengths(films)):
        counts += draw_film(folder / "rekognition", number, label_sets, shares)
        progress.update(number + 1)
    return {"label_sets": int(lengths(films).sum()), "names": counts.tolist()}


def bring_in(folder, films):
    """Import what was drawn."""
    import_labels(folder / "rekognition", folder / "labels", CONFIG)
    return {}


def look(folder, films):
    """Read the stream and make the matrix; returns what is to be as drawn."""
    begin = time.perf_counter()
    stream = read_labels(folder / "labels")
    read = time.perf_counter()
    names = frequencies(stream)["label"].iloc[:150].tolist()
    counted = time.perf_counter()
    matrix = presence_matrix(stream, names)
    made = time.perf_counter()
    found = dict(zip(names, matrix.sum(axis=0).tolist(), strict=True))
    return {
        "label_sets": matrix.shape[0],
        "labels": len(stream.labels),
        "found": found,
        "read_s": read - begin,
        "frequencies_s": counted - read,
        "matrix_s": made - counted,
    }


def measured(stage, folder, films, queue):
    """Run a stage; put what it returns with its time and largest memory."""
    begin = time.perf_counter()
    result = stage(folder, films)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    queue.put(result | {"seconds": time.perf_counter() - begin, "cpu_s": time.process_time(), "peak_gib": gib})


def in_process(stage, folder, films):
    """A stage in a fresh process."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=measured, args=(stage, folder, films, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


def main():
    """Run the stages and write their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--films", type=int, default=FILMS, help="fewer for a trial, which writes to --scratch alone")
    parser.add_argument("--scratch", type=Path, help="folder for some GB (default: the system's temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.scratch))
    try:
        drawn = in_process(draw, folder, options.films)
        imported = in_process(bring_in, folder, options.films)
        seen = in_process(look, folder, options.films)
        megabytes = (folder / "labels" / "labels.parquet").stat().st_size / 1e6
    finally:
        shutil.rmtree(folder)
    truth = {f"Label {k:04d}": count for k, count in enumerate(drawn["names"])}
    most = sorted(truth.values(), reverse=True)[:150]
    right = all(truth[name] == count for name, count in seen["found"].items())
    rows = [
        ("drawn", "films", options.films),
        ("drawn", "label sets", drawn["label_sets"]),
        ("drawn", "labels", sum(truth.values())),
        ("import", "time, s", imported["seconds"]),
        ("import", "processor time, s", imported["cpu_s"]),
        ("import", "largest memory, GiB", imported["peak_gib"]),
        ("import", "labels.parquet, MB", megabytes),
        ("read", "label sets", seen["label_sets"]),
        ("read", "labels", seen["labels"]),
        ("read", "time, s", seen["read_s"]),
        ("presence of 150", "frequencies, s", seen["frequencies_s"]),
        ("presence of 150", "matrix, s", seen["matrix_s"]),
        ("presence of 150", "labels in it", sum(seen["found"].values())),
        ("presence of 150", "labels in it, as drawn", sum(most)),
        ("presence of 150", "columns as drawn (1: all)", int(right)),
        ("read and presence", "processor time, s", seen["cpu_s"]),
        ("read and presence", "largest memory, GiB", seen["peak_gib"]),
    ]
    table = pd.DataFrame(rows, columns=["stage", "quantity", "value"])
    print(table.to_string(index=False, float_format="{:,.2f}".format))
    if options.films == FILMS:
        with atomic(HERE / "labels.csv") as temporary:
            table.round(3).to_csv(temporary, index=False)
        write_json(HERE / "labels.json", record(CONFIG, seed=0, cores=os.cpu_count()))


if __name__ == "__main__":
    main()
