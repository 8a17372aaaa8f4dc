"""Films into frames against the ffmpeg command line, which does the same job: one run, equal threads, medians, ratios.

    python -m benchmarks.ingest                   (about 6 minutes: real clips, and films made from them)
    python -m benchmarks.ingest --film-s 60 --rounds 3       (on a busy machine)

Films: the clips; one of them as VP8, VP9 and AV1, and in VP8 and H.264 with black borders; and two of 10 min in H.264,
720p without borders and the bordered one over and over. Settings are those of base.yaml, with the search for borders,
at 256 px. ffmpeg makes JPEGs of the same size at 1/s of the same pictures (fps=1:round=up), ours a frame store; ffmpeg
is told the borders that ours has to find. Tools take turns; of short films one more comes before, which does not count,
and `ours, nothing skipped`, which decodes every picture as ffmpeg does. `seconds` is wall time, `cpu_s` the processor
time of all threads, which other work on the machine hardly touches: medians, with the least and the most of the turns;
`ratio` and `cpu_ratio` are ffmpeg's median over ours: above 1, ours is faster. `load` is the highest load average
before a turn, `quiet` whether that leaves others no more than .5. Ours runs in one process, ffmpeg in a new one each
time; what a process of ours takes to start is in rows of its own. Writes benchmarks/results/ingest.csv and a record
beside it.
"""

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SVT_LOG")}

import argparse
import functools
import itertools
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import av
import pandas as pd
from benchmarks.turns import load, loaded, spread

from semanticcmc.config import configure
from semanticcmc.experiment import read_values
from semanticcmc.films import video
from semanticcmc.films.ingest import MoviesConfig, ingest
from semanticcmc.films.letterbox import find_borders
from semanticcmc.films.video import decode
from semanticcmc.run import atomic, record, write_json

RESULTS = Path(__file__).parent / "results"
CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"
SECTION = read_values("clips")[0]["movies"] | {"short_side_px": 256, "jpeg_quality": 90}
CONFIG = configure(MoviesConfig, SECTION, "analysis/experiments/clips.yaml, section movies")
MJPEG_QUALITY = 2  # ffmpeg's -q:v, its best; the files come out somewhat smaller than ours (column bytes)
TOOLS = ("ffmpeg", "ours", "ours, nothing skipped")


CODECS = {
    "vp8.webm": ["-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", "8"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", "8"],
    "av1.mp4": ["-c:v", "libsvtav1", "-preset", "10", "-crf", "40"],
}


def ffmpeg(*options):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *options], check=True)


def made_films(clips, folder, film_s):
    """Films made from the clips, each encoded once; long ones repeat a short one as it is."""
    longest = max(clips, key=lambda clip: ("cars" in clip.name, clip.name))  # 30 s of streets in 360p
    h264 = ["-an", "-c:v", "libx264", "-preset", "fast", "-crf", "21"]
    for name, coding in CODECS.items():
        ffmpeg("-i", longest, "-an", "-t", "30", *coding, folder / f"made_{name}")
        yield folder / f"made_{name}"
    padded = folder / "made_bordered_h264.mp4"
    for film, coding in ((folder / "made_bordered_vp8.webm", CODECS["vp8.webm"]), (padded, h264)):
        ffmpeg("-i", longest, "-an", "-t", "30", "-vf", "pad=iw:ih+120:0:60", *coding, film)
        yield film
    inputs = [part for clip in clips for part in ("-i", clip)]
    scaled = "".join(f"[{i}:v]scale=1280:720,setsar=1,fps=25,format=yuv420p[v{i}];" for i in range(len(clips)))
    joined = "".join(f"[v{i}]" for i in range(len(clips))) + f"concat=n={len(clips)}"
    whole = folder / "once.mp4"
    ffmpeg(*inputs, "-filter_complex", scaled + joined, *h264, "-t", str(min(film_s, 60)), whole)
    for name, once in (("made_720p_h264.mp4", whole), ("made_long_bordered_h264.mp4", padded)):
        ffmpeg("-stream_loop", "-1", "-i", once, "-t", str(film_s), "-c", "copy", folder / name)
        yield folder / name


def by_ffmpeg(film, folder, size, crop, threads):
    cropped = f"crop={crop.width}:{crop.height}:{crop.x}:{crop.y}:exact=1," if crop else ""
    chain = f"fps=1:round=up,{cropped}scale={size[0]}:{size[1]}:flags=bicubic"
    each = ["-threads", str(threads)]
    ffmpeg(*each, "-filter_threads", str(threads), "-copyts", "-i", film, "-an", "-vf", chain, *each,
           "-q:v", str(MJPEG_QUALITY), folder / "%06d.jpg")  # fmt: skip
    files = list(folder.glob("*.jpg"))
    return len(files), sum(file.stat().st_size for file in files)


def by_ours(film, folder, size, crop, threads, skips):
    with mock.patch.object(video, "can_skip", video.can_skip if skips else lambda *_: False):
        table = pd.read_parquet(ingest(film, "film", folder, CONFIG, threads))
    assert (table["width"].iloc[0], table["height"].iloc[0]) == size
    return len(table), int(table["nbytes"].sum())


def times(turns):
    """Wall and processor seconds of turns."""
    return {k: v for kind, of in zip(("seconds", "cpu_s"), zip(*turns, strict=True), strict=True)
            for k, v in spread(kind, of).items()}  # fmt: skip


def cpu_s():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(film, threads, rounds):
    """Rows of each tool: wall and processor seconds (median, least, most), and the frames and bytes that it made."""
    with av.open(str(film)) as container:
        duration_s, codec = container.duration / av.time_base, container.streams.video[0].codec.canonical_name
    crop, short = find_borders(film), duration_s < 200
    # Pixels need not be square.
    size = next(decode(film, CONFIG.frames_per_s, CONFIG.short_side_px, crop=crop)).image.shape[1::-1]
    calls = {"ffmpeg": by_ffmpeg, "ours": functools.partial(by_ours, skips=True)}
    if short:
        calls["ours, nothing skipped"] = functools.partial(by_ours, skips=False)
    found, made, loads = {tool: [] for tool in calls}, {}, []
    for turn, (tool, call) in itertools.product(range(0 if short else 1, rounds + 1), calls.items()):
        loads.append(load())
        with tempfile.TemporaryDirectory() as folder:
            start, start_cpu = time.perf_counter(), cpu_s()
            made[tool] = call(film, Path(folder), size, crop, threads)
            if turn:
                found[tool].append((time.perf_counter() - start, cpu_s() - start_cpu))
    for tool, seconds in found.items():
        frames, size_bytes = made[tool]
        yield {
            "film": film.name, "codec": codec, "borders": crop is not None, "duration_s": duration_s,
            "threads": threads, "tool": tool, **times(seconds), "frames": frames, "bytes": size_bytes,
            **loaded(loads, threads),
        }  # fmt: skip


def starts(rounds):
    """Rows of a process that starts: of the command line alone, and with all that ingesting a film imports."""
    ingest_film = "from semanticcmc import cli; from semanticcmc.films.ingest import ingest_film"
    for tool, rest in {"--help": ("-m", "semanticcmc", "ingest", "--help"), "imports": ("-c", ingest_film)}.items():
        turns, loads = [], []
        for _ in range(rounds + 1):
            loads.append(load())
            start, start_cpu = time.perf_counter(), cpu_s()
            subprocess.run([sys.executable, *rest], check=True, stdout=subprocess.DEVNULL)
            turns.append((time.perf_counter() - start, cpu_s() - start_cpu))
        yield {"film": "(none)", "tool": f"start of our process, {tool}", **times(turns[1:]), **loaded(loads)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film-s", type=float, default=600.0, help="duration of the film made from the clips")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each tool")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads of each tool")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="folder of the clips")
    options = parser.parse_args()
    if not shutil.which("ffmpeg") or not options.clips.is_dir():
        print("not measured: ffmpeg is not installed, or there is no folder of clips")
        return
    clips = sorted(p for p in options.clips.iterdir() if p.suffix in (".mp4", ".webm"))
    rows = list(starts(options.rounds))
    with tempfile.TemporaryDirectory() as folder:
        for film in itertools.chain(clips, made_films(clips, Path(folder), options.film_s)):
            for threads in options.threads:
                rows += (new := list(measure(film, threads, options.rounds)))
                print(pd.DataFrame(new).to_string(index=False, header=False), flush=True)
    table = pd.DataFrame(rows)
    peer = table[table["tool"] == "ffmpeg"].set_index(["film", "threads"])
    keys = pd.MultiIndex.from_frame(table[["film", "threads"]])
    for ratio, column in (("ratio", "seconds"), ("cpu_ratio", "cpu_s")):
        table[ratio] = peer[column].reindex(keys).to_numpy() / table[column].to_numpy()
    table["film_hours_per_core_hour"] = table["duration_s"] / table["cpu_s"]
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
