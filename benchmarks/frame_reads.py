"""Random pairs of frames from the frame store, against torchvision's ImageFolder with PIL on the same JPEGs.

Frames of 256 x 456 px, JPEG quality 95, as the experiment `poster` stores them; pairs 60 s apart, drawn once and
read by all tools in the same order, as uint8 tensors: whole, and at 224 x 224 px as a loader wants them, there against
`torchvision.io.decode_jpeg` (nvJPEG on a GPU) and the same resize. Turns alternate in one run; the time of a tool is
the median of its turns. The peer reads frame by frame, as ImageFolder does, and in as many worker processes of a
DataLoader as the store has threads. Frames at 1/s of a film, 224 px high, are decoded by ours and by torchcodec, where
it can be imported (pip install torchcodec). `load` is the highest load average before a turn, `quiet` whether that
leaves others no more than .5 besides the threads of the benchmark. Writes benchmarks/results/frame_reads.csv and a
record of versions and machine beside it.

    python -m benchmarks.frame_reads              (about a minute)
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.turns import load, loaded
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import ImageFolder
from torchvision.io import decode_jpeg, read_file
from torchvision.transforms.functional import pil_to_tensor

from semanticcmc.films.files import Frame, merge_index, write_film
from semanticcmc.films.pairs import lagged_pairs
from semanticcmc.films.store import FrameStore
from semanticcmc.films.video import decode
from semanticcmc.run import atomic, record, write_json

RESULTS = Path(__file__).parent / "results"
CLIP = Path(__file__).parents[2] / "shared" / "data" / "clips" / "street-cars_30s_h264.mp4"
FILMS, FRAMES, PAIRS, TURNS, QUALITY = 8, 200, 128, 5, 95
SIZE_PX = (224, 224)


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


def resized(images, size_px=SIZE_PX):
    return torch.cat([interpolate(one[None], size_px, mode="bilinear", antialias=True) for one in images])


def of_a_film(threads):
    """Readers of the frames at 1/s of a film, and their number; none without the clip."""
    if not CLIP.is_file():
        return {}, 0

    def ours(n):
        return torch.stack([torch.from_numpy(f.image).permute(2, 0, 1) for f in decode(CLIP, 1.0, SIZE_PX[0], n)])

    first = ours(1)
    counts = sorted({1, threads})
    tools = {f"films.video.decode, {n} threads": lambda n=n: ours(n) for n in counts}
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:
        print(f"torchcodec: not measured ({str(error).splitlines()[0]})")
        return tools, len(first)

    def theirs(n):
        read = VideoDecoder(str(CLIP), num_ffmpeg_threads=n).get_frames_played_at(list(map(float, range(len(first)))))
        return resized(read.data, first.shape[2:])

    return {f"torchcodec, {n} threads": lambda n=n: theirs(n) for n in counts} | tools, len(first)


def timed(tools, pictures, turns, within):
    """A row of each tool, which all read so many of the same pictures; the first is the peer of the ratio."""
    expected, seconds, loads = None, {name: [] for name in tools}, []
    for name, read in tools.items():  # warms up
        found = read().cpu().int()
        expected = found if expected is None else expected
        assert found.shape == expected.shape and (found - expected).abs().float().mean() <= within, name
    for _ in range(turns):
        loads.append(load())
        for name, read in tools.items():
            start = time.perf_counter()
            read()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    peer = next(iter(medians))
    for name, median_s in medians.items():
        times = {"median_s": median_s, "fastest_s": min(seconds[name]), "slowest_s": max(seconds[name])}
        against = {"peer": peer, "times_as_fast": medians[peer] / median_s}
        rates = {"frames_per_s": pictures / median_s, "pairs_per_s": pictures / median_s / 2}
        yield {"tool": name, **rates, **times, **against, **loaded(loads, torch.get_num_threads())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each tool")
    turns, threads = parser.parse_args().turns, torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        films(Path(folder))
        store = FrameStore(Path(folder) / "store")
        files = ImageFolder(str(Path(folder) / "files"), transform=pil_to_tensor)
        pairs, generator = lagged_pairs(store.index, 60, 60), torch.Generator().manual_seed(0)
        first = pairs.first_frames(PAIRS, generator)
        second = pairs.partner(first, pairs.lags(PAIRS, generator))
        rows = torch.stack([first, second], 1).flatten().tolist()
        loader = DataLoader(Subset(files, rows), batch_size=32, num_workers=threads, persistent_workers=True)

        def by_torchvision(device):
            encoded = [read_file(files.samples[row][0]) for row in rows]
            return resized(decode_jpeg(encoded, device=device))

        whole = {
            "ImageFolder with PIL": lambda: torch.stack([files[row][0] for row in rows]),
            f"ImageFolder with PIL, {threads} workers": lambda: torch.cat([images for images, _ in loader]),
        }
        devices = ["cpu", "cuda"][: 1 + torch.cuda.is_available()]
        small = {f"torchvision.io.decode_jpeg, 224 px, {d}": lambda d=d: by_torchvision(d) for d in devices}
        for n in sorted({1, threads}):
            whole[f"FrameStore, {n} threads"] = lambda n=n: store.read_rows(rows, threads=n)
            small[f"FrameStore, 224 px, {n} threads"] = lambda n=n: store.read_rows(rows, SIZE_PX, n)
        table = [*timed(whole, len(rows), turns, 0.5), *timed(small, len(rows), turns, 1)]
        film, frames = of_a_film(threads)
        table = pd.DataFrame([*table, *timed(film, frames, turns, 3)] if film else table)
    print(table.round(3).to_string(index=False))
    with atomic(RESULTS / "frame_reads.csv") as temporary:
        table.round(4).to_csv(temporary, index=False)
    config = {
        "films": FILMS,
        "frames_a_film": FRAMES,
        "pairs": PAIRS,
        "turns": turns,
        "jpeg_quality": QUALITY,
        "jpeg_bytes": float(store.index["nbytes"].mean()),
    }
    write_json(RESULTS / "frame_reads.json", record(config, 0, threads=threads, cores=os.cpu_count()))


if __name__ == "__main__":
    main()
