"""Films into frames against the ffmpeg command line, which does the same job: one run, equal threads, medians, ratios.

    python -m benchmarks.ingest                   (the real clips, and a film of 10 min made from them)
    python -m benchmarks.ingest --film-s 60 --rounds 3       (on a busy machine)

Both make JPEGs of the same size at 1/s of the same pictures (ffmpeg: fps=1:round=up), ours into a frame store. Tools
take turns, after one turn of each that does not count. `ours, nothing skipped` decodes every picture as ffmpeg does.
`seconds` is wall time, `cpu_s` the processor time of all threads, which other work on the machine hardly touches;
`ratio` and `cpu_ratio` are ffmpeg's median over ours: above 1, ours is faster. Ours runs in one process; the start of
one (imports) is a row of its own. Writes benchmarks/results/ingest.csv and a record beside it.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

import argparse
import functools
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import av
import pandas as pd

from semanticcmc.films import video
from semanticcmc.films.ingest import MoviesConfig, ingest
from semanticcmc.films.video import decode
from semanticcmc.run import atomic, record, write_json

RESULTS = Path(__file__).parent / "results"
CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"
CONFIG = MoviesConfig(
    folder=None,
    frame_folders_per_s=None,
    frames_per_s=1.0,
    short_side_px=256,
    jpeg_quality=90,
    crop_black_borders=False,
    manifest=None,
    sound=False,
    flow=None,
    shots=False,
)
MJPEG_QUALITY = 2  # ffmpeg's -q:v, its best; the files come out somewhat smaller than ours (column bytes)
TOOLS = ("ffmpeg", "ours", "ours, nothing skipped")


def make_film(clips, path, film_s):
    """A film of 720p and H.264 with B-frames: the clips one after the other, encoded once and repeated as they are."""
    inputs = [part for clip in clips for part in ("-i", str(clip))]
    scaled = "".join(f"[{i}:v]scale=1280:720,setsar=1,fps=25,format=yuv420p[v{i}];" for i in range(len(clips)))
    joined = "".join(f"[v{i}]" for i in range(len(clips))) + f"concat=n={len(clips)}"
    once = path.with_name("once.mp4")
    coding = ["-c:v", "libx264", "-preset", "fast", "-crf", "21", "-t", str(min(film_s, 60))]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", scaled + joined, *coding, once], check=True
    )
    repeat = ["-stream_loop", "-1", "-i", once, "-t", str(film_s), "-c", "copy", path]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *repeat], check=True)
    once.unlink()


def by_ffmpeg(film, folder, size, threads):
    chain = f"fps=1:round=up,scale={size[0]}:{size[1]}:flags=bicubic"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-threads",
        str(threads),
        "-filter_threads",
        str(threads),
        "-copyts",
        "-i",
        film,
        "-an",
        "-vf",
        chain,
        "-threads",
        str(threads),
        "-q:v",
        str(MJPEG_QUALITY),
    ]
    subprocess.run([*command, folder / "%06d.jpg"], check=True)
    files = list(folder.glob("*.jpg"))
    return len(files), sum(file.stat().st_size for file in files)


def by_ours(film, folder, size, threads, skips):
    with mock.patch.object(video, "can_skip", video.can_skip if skips else lambda *_: False):
        table = pd.read_parquet(ingest(film, "film", folder, CONFIG, threads))
    assert (table["width"].iloc[0], table["height"].iloc[0]) == size
    return len(table), int(table["nbytes"].sum())


def cpu_s():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def displayed_size(film):
    """Width and height of a film's frames; its pixels need not be square."""
    height, width = next(iter(decode(film, CONFIG.frames_per_s, CONFIG.short_side_px))).image.shape[:2]
    return width, height


def measure(film, threads, rounds):
    """Median wall and processor seconds of each tool, and the frames and bytes that it made."""
    size, found = displayed_size(film), {tool: [] for tool in TOOLS}
    calls = {
        "ffmpeg": by_ffmpeg,
        "ours": functools.partial(by_ours, skips=True),
        "ours, nothing skipped": functools.partial(by_ours, skips=False),
    }
    made = {}
    for turn in range(rounds + 1):
        for tool, call in calls.items():
            with tempfile.TemporaryDirectory() as folder:
                start, start_cpu = time.perf_counter(), cpu_s()
                made[tool] = call(film, Path(folder), size, threads)
                if turn:
                    found[tool].append((time.perf_counter() - start, cpu_s() - start_cpu))
    return [(tool, *map(statistics.median, zip(*found[tool], strict=True)), *made[tool]) for tool in TOOLS]


def start_of_a_process():
    seconds = []
    for _ in range(5):
        start, start_cpu = time.perf_counter(), cpu_s()
        subprocess.run([sys.executable, "-m", "semanticcmc", "ingest", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append((time.perf_counter() - start, cpu_s() - start_cpu))
    return [statistics.median(values) for values in zip(*seconds, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film-s", type=float, default=600.0, help="duration of the film made from the clips")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each tool")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of the clips")
    options = parser.parse_args()
    if not shutil.which("ffmpeg") or not options.clips.is_dir():
        print("not measured: ffmpeg is not installed, or there is no folder of clips")
        return
    clips, rows = sorted(p for p in options.clips.iterdir() if p.suffix in (".mp4", ".webm")), []
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / "made_720p_h264.mp4"
        make_film(clips, long, options.film_s)
        for film in (*clips, long):
            with av.open(str(film)) as container:
                duration_s = container.duration / av.time_base
            for threads in (1, 2):
                for row in measure(film, threads, options.rounds):
                    rows.append((film.name, duration_s, threads, *row))
                print(pd.DataFrame(rows[-len(TOOLS) :]).to_string(index=False, header=False), flush=True)
    columns = ["film", "duration_s", "threads", "tool", "seconds", "cpu_s", "frames", "bytes"]
    table = pd.DataFrame(rows, columns=columns)
    peer = table[table["tool"] == "ffmpeg"].set_index(["film", "threads"])
    keys = list(table[["film", "threads"]].itertuples(index=False, name=None))
    for ratio, column in (("ratio", "seconds"), ("cpu_ratio", "cpu_s")):
        table[ratio] = peer.loc[keys, column].to_numpy() / table[column].to_numpy()
    table["film_hours_per_core_hour"] = table["duration_s"] / table["cpu_s"]
    start = dict(zip(("seconds", "cpu_s"), start_of_a_process(), strict=True))
    table = pd.concat([table, pd.DataFrame([{"film": "(none)", "tool": "start of our process", **start}])])
    print(table.to_string(index=False, float_format="{:.4g}".format))
    with atomic(RESULTS / "ingest.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.splitlines()[0]
    more = {
        "ffmpeg": version,
        "av": av.__version__,
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    write_json(RESULTS / "ingest.json", record(CONFIG, **more))


if __name__ == "__main__":
    main()
