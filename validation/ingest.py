"""Kill -9 at random moments of an ingest: does the next run end as if nothing had happened?

Six films are made with PyAV and ingested by the commands probe, ingest (one call a film) and merge
in a process that is killed with SIGKILL at a moment drawn uniformly from the length of an undisturbed ingest, 20 times,
each time from an empty store. The same commands are then run to their end. Every file of the store is compared with
the undisturbed one, byte for byte; films that were finished at the kill must not be decoded again (the decoder's
calls are logged) and their files must be the same ones (inode and time of change).

    python -m validation.ingest              writes validation/ingest.csv and ingest.json; exit 1 where one differs
"""

import hashlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import pandas as pd

from semanticcmc import cli
from semanticcmc.films import ingest as movies
from semanticcmc.run import atomic, record, write_json

FOLDER = Path(__file__).parent
FILMS, SECONDS, KILLS, SEED = 6, (20, 60), 20, 0
PROCESSES = multiprocessing.get_context("forkserver")  # whose server has no threads, which a fork could leave locked
PROCESSES.set_forkserver_preload([__name__])


def make_films(folder, seconds):
    """Films of 160 x 96 px at 25/s whose pictures all differ; some names with spaces and accents."""
    generator = np.random.default_rng(SEED)
    for k, duration_s in enumerate(seconds):
        with av.open(str(folder / f"Été {k + 1}.mp4"), "w") as out:
            stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            texture = generator.integers(0, 255, size=(96, 160, 3), dtype=np.uint8)
            for i in range(25 * duration_s):
                frame = av.VideoFrame.from_ndarray(np.roll(texture, i, axis=1), format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode())


def experiment(folder, films):
    """An experiment's YAML in a folder of its own."""
    folder.mkdir()
    (folder / "experiment.yaml").write_text(
        "name: kills\ntitle: Kills\nsource: films\nlags_s: [1]\nbaselines: [random]\nseeds: [0]\nprimary_layer: fc7\n"
        f"movies: {{folder: '{films}', frame_folders_per_s: null, frames_per_s: 5, short_side_px: 64, "
        "jpeg_quality: 90, crop_black_borders: false, manifest: null, sound: false, flow: null, shots: false}\n"
    )
    return folder / "experiment.yaml"


def start(file, movie_ids, log):
    """The whole ingest in a process of its own, which is returned; the films that it decodes are written to `log`."""
    process = PROCESSES.Process(target=ingest, args=(file, movie_ids, log))
    process.start()
    return process


def ingest(file, movie_ids, log):
    """What that process does; it ends with status 0 where all went well."""
    decode = movies.decode

    def logged(path, *arguments):
        with log.open("a") as lines:
            lines.write(Path(path).stem.replace(" ", "_") + "\n")
        return decode(path, *arguments)

    said = os.open(file.parent / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 2)
    movies.decode = logged
    cli.main(["probe", str(file)])
    for movie_id in movie_ids:
        cli.main(["ingest", str(file), movie_id, "--threads", "1"])
    cli.main(["merge", str(file)])


def finish(process):
    """Wait for a process; whether it ended well."""
    process.join()
    return process.exitcode == 0


def files(store):
    """Name and SHA-256 of every file of a store, those that a killed job left included."""
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(store.iterdir()) if ".part" not in p.name
    }


def identities(store, movie_ids):
    """Inode and time of change of the films' files: others after any writing."""
    found = [(store / f"{movie_id}{end}").stat() for movie_id in movie_ids for end in (".tar", ".parquet")]
    return [(state.st_ino, state.st_mtime_ns) for state in found]


def one_kill(folder, films, movie_ids, after_s, undisturbed):
    """Ingest, kill after `after_s`, ingest again; what was found."""
    file, store = experiment(folder, films), folder / "frames"
    process = start(file, movie_ids, folder / "decoded_before.txt")
    time.sleep(after_s)
    running = process.is_alive()
    process.kill()
    process.join()
    done = [movie_id for movie_id in movie_ids if (store / f"{movie_id}.parquet").exists()]
    torn = len(list(store.glob(".*.part.tar"))) if store.exists() else 0
    before = identities(store, done)
    log = folder / "decoded_after.txt"
    log.touch()
    well = finish(start(file, movie_ids, log))
    again = set(log.read_text().split()) & set(done)
    return {
        "killed_after_s": float(after_s),
        "killed": running,
        "films_finished": len(done),
        "unfinished_files": torn,
        "rerun_ended_well": well,
        "decoded_in_rerun": len(log.read_text().split()),
        "decoded_again": len(again),
        "finished_untouched": identities(store, done) == before,
        "byte_identical": well and files(store) == undisturbed,
        "unfinished_files_left": len(list(store.glob(".*.part.tar"))),
    }


def study(folder, seconds, kills):
    """All kills as a table, one row each, and the seconds that an undisturbed ingest took."""
    films = folder / "films"
    films.mkdir()
    make_films(films, seconds)
    movie_ids = [path.stem.replace(" ", "_") for path in sorted(films.iterdir())]
    took_s = 0.0
    for name in ("warm-up", "undisturbed"):  # the first one also loads what later ones find in memory
        file, began = experiment(folder / name, films), time.monotonic()
        if not finish(start(file, movie_ids, folder / "decoded.txt")):
            raise SystemExit((file.parent / "said.txt").read_text())
        took_s = time.monotonic() - began
    undisturbed, rows, generator = files(folder / "undisturbed" / "frames"), [], np.random.default_rng(SEED)
    while sum(row["killed"] for row in rows) < kills:  # an ingest that ended before its moment is none
        after_s = generator.uniform(0, took_s)
        rows.append(one_kill(folder / "killed", films, movie_ids, after_s, undisturbed))
        shutil.rmtree(folder / "killed")
        print(rows[-1], flush=True)
    return pd.DataFrame(rows), took_s


def main():
    """Run the study; 1 if any kill left a trace."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = np.linspace(*SECONDS, FILMS).round().astype(int).tolist()
        table, took_s = study(Path(folder), seconds, KILLS)
    with atomic(FOLDER / "ingest.csv") as temporary:
        table.round(3).to_csv(temporary, index=False)
    write_json(FOLDER / "ingest.json", record({"film_s": seconds, "kills": KILLS, "undisturbed_s": took_s}, SEED))
    bad = ~table["byte_identical"] | ~table["finished_untouched"] | (table["decoded_again"] > 0)
    print(f"{int(table['killed'].sum())} kills, {int(bad.sum())} with a fault")
    return int(bad.any())


if __name__ == "__main__":
    sys.exit(main())
