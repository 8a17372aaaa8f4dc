"""Random pairs of frames from the frame store, against torchvision's ImageFolder with PIL on the same JPEGs.

Frames of 256 x 456 px, JPEG quality 95, as the experiment `poster` stores them; pairs 60 s apart, drawn once and
read by all tools in the same order, as uint8 tensors. Turns alternate in one run; the time of a tool is the
median of its turns. The peer reads frame by frame, as ImageFolder does, and in as many worker processes of a
DataLoader as the store has threads.
Writes benchmarks/results/frame_reads.csv and a record of versions and machine beside it.

    python -m benchmarks.frame_reads
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.pairs import lagged_pairs
from semanticcmc.films.store import FrameStore
from semanticcmc.run import atomic, record, write_json

RESULTS = Path(__file__).parent / "results"
FILMS, FRAMES, PAIRS, TURNS, QUALITY = 8, 200, 128, 7, 95


def picture(generator):
    """Blurred noise at three scales with a little grain: as many bytes as a film's frame, about 20 kB."""
    layers = [80 * s * gaussian_filter(generator.normal(size=(256, 456, 3)), (s, s, 0)) for s in (4, 16)]
    return np.clip(128 + sum(layers) + generator.normal(size=(256, 456, 3)), 0, 255).astype(np.uint8)


def films(folder):
    """A frame store, and the same JPEGs as files in one folder a film."""
    generator = np.random.default_rng(0)
    pictures = [picture(generator) for _ in range(24)]
    for film in range(FILMS):
        order = generator.integers(len(pictures), size=FRAMES)
        write_film(
            folder / "store", f"film-{film}", (Frame(t, t, t, pictures[p]) for t, p in enumerate(order)), QUALITY
        )
        place = folder / "files" / f"film-{film}"
        place.mkdir(parents=True)
        for t, p in enumerate(order):
            Image.fromarray(pictures[p]).save(place / f"{t:06d}.jpg", quality=QUALITY)
    merge_index(folder / "store")


def main():
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        films(Path(folder))
        store = FrameStore(Path(folder) / "store")
        files = ImageFolder(str(Path(folder) / "files"), transform=pil_to_tensor)
        pairs, generator = lagged_pairs(store.index, 60, 60), torch.Generator().manual_seed(0)
        first = pairs.first_frames(PAIRS, generator)
        second = pairs.partner(first, pairs.lags(PAIRS, generator))
        rows = torch.stack([first, second], 1).flatten().tolist()
        loader = DataLoader(Subset(files, rows), batch_size=32, num_workers=threads, persistent_workers=True)

        def serial():
            return torch.stack([files[row][0] for row in rows])

        def workers():
            return torch.cat([images for images, _ in loader])

        tools = {
            "ImageFolder with PIL": serial,
            f"ImageFolder with PIL, {threads} workers": workers,
            "FrameStore, 1 thread": lambda: store.read_rows(rows, threads=1),
            f"FrameStore, {threads} threads": lambda: store.read_rows(rows, threads=threads),
        }
        expected = serial()
        for name, read in tools.items():  # warms up, and all must read the same pictures
            assert (read().int() - expected.int()).abs().max() <= 2, name
        seconds = {name: [] for name in tools}
        for _ in range(TURNS):
            for name, read in tools.items():
                start = time.perf_counter()
                read()
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    peer = medians["ImageFolder with PIL"]
    table = pd.DataFrame(
        {
            "tool": list(medians),
            "pairs_per_s": [PAIRS / s for s in medians.values()],
            "median_s": list(medians.values()),
            "fastest_s": [min(v) for v in seconds.values()],
            "times_as_fast_as_ImageFolder": [peer / s for s in medians.values()],
        }
    )
    print(table.round(3).to_string(index=False))
    with atomic(RESULTS / "frame_reads.csv") as temporary:
        table.round(4).to_csv(temporary, index=False)
    config = {
        "films": FILMS,
        "frames_a_film": FRAMES,
        "pairs": PAIRS,
        "turns": TURNS,
        "jpeg_quality": QUALITY,
        "jpeg_bytes": float(store.index["nbytes"].mean()),
    }
    load = os.getloadavg()[0]
    write_json(
        RESULTS / "frame_reads.json", record(config, 0, threads=threads, cores=os.cpu_count(), load_average=load)
    )


if __name__ == "__main__":
    main()
