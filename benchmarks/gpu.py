"""Everything that is asked of a GPU, in one command of at most 8 minutes (3 on a CPU, at small sizes).

    python -m benchmarks.gpu                 (a GPU if there is one)
    python -m benchmarks.gpu --device cpu    (a rehearsal: small networks, batches and matrices)

Each part (parts/gpu.py) runs in a process of its own with a time limit, so that one that fails, hangs or runs out of
memory leaves a row with its error, and the others go on; the table is written after each row. Parts: the tests marked
`gpu`; training at full size, frames a second by where frames come from (`resident` in the GPU's memory, `loader` from
disk, `data-free` one batch again and again), precision and compilation, with the share of the data-free rate, the peak
of memory, how often a step waits for the GPU, and hours for the published study (80 epochs x 573,000 pairs x 5 lags; of
the fast recipe 20 epochs); decoding by the store and by torchvision (nvJPEG); objectives alone; Mantel tests against
the time of reading what they must read; RDMs against a float32 product; two processes on two GPUs.

Writes benchmarks/results/gpu.csv (of a CPU gpu_cpu.csv), a record, and gpu.md, the numbers in words, which says what
was not seen.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import pandas as pd
import torch
from benchmarks.parts import gpu as parts
from benchmarks.training import write_store

from semanticcmc.run import atomic, record, write_csv, write_json

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
ALL_S = 455
# Seconds of each part, at most, on a GPU and on a CPU; the longest comes last and has what is left.
PARTS = {
    "tests": (110, 60),
    "decoding": (30, 40),
    "objectives": (40, 40),
    "mantel": (60, 40),
    "rdm": (25, 40),
    "processes": (60, 90),
    "training": (300, 180),
}
NUMBERS = ("value", "share", "peak_gb", "waits", "hours")
COLUMNS = ["device", "part", "what", "value", "unit", "share", "of", "goal", "reached", *NUMBERS[2:], "load", "error"]
UNSEEN_BY_A_CPU = "bfloat16, full sizes, memory of a GPU, waits for a GPU, hours of the published study"


def command_of(part, device, folder):
    """The process of one part."""
    return [sys.executable, "-m", "benchmarks.gpu", "--device", device, "--part", part, "--folder", str(folder)]


def rows_of(command, seconds):
    """Rows that a process prints, a line of JSON each; and one with its error, if it fails or takes too long."""
    with tempfile.TemporaryFile("w+") as errors:
        pipes = {"stdout": subprocess.PIPE, "stderr": errors, "text": True}
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
        over = threading.Event()

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, lambda: (over.set(), end()))
        timer.start()
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            code = process.wait()
        finally:
            timer.cancel()
            end()  # and what it started
        errors.seek(0)
        if code:
            yield {"error": f"stopped after {seconds:.0f} s" if over.is_set() else parts.last_error(errors.read())}


def in_words(table):
    """What the table says, a line a row, and what was not seen."""
    table = table.reindex(columns=COLUMNS)
    device, said, seen = table.device.iloc[0], [], set()
    for row in table.astype(object).where(table.notna(), "").itertuples():
        if row.error:
            said.append(f"{row.part}{row.what and f', {row.what}'}: failed ({row.error}).")
            continue
        seen.add(row.part if row.part != "tests" else f"tests {row.what}")
        text = f"{row.part}, {row.what}: {row.value:,.4g} {row.unit}"
        text += f", {row.share:.3g} of {row.of}" if row.of else ""
        text += f" (goal {row.goal}: {'reached' if row.reached else 'missed'})" if row.goal else ""
        text += f", at most {row.peak_gb:.3g} GB" if row.peak_gb != "" else ""
        text += f", {row.waits:g} waits a step" if row.waits != "" else ""
        text += f", {row.hours:.3g} h for the study" if row.hours != "" else ""
        said.append(f"{text}.")
    unseen = [part for part in PARTS if part not in seen and not (part == "tests" and "tests passed" in seen)]
    unseen = ["the tests marked gpu" if part == "tests" else part for part in unseen]
    unseen += [UNSEEN_BY_A_CPU] if device == "cpu" else []
    head = f"Measured on {device}, at a load of {table.load.min():g} to {table.load.max():g} (of all processes)."
    return "\n".join([head, *said, f"Not seen: {', '.join(unseen) or 'nothing'}."]) + "\n"


def write(rows, results, stem, **about):
    """The results so far: table, record, and words, which are returned."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in NUMBERS:
        table[name] = [float(f"{value:.5g}") for value in table[name].astype(float)]
    text = in_words(table)
    write_csv(results / f"{stem}.csv", table)
    write_json(results / f"{stem}.json", record(seed=0, **about))
    with atomic(results / f"{stem}.md") as temporary:
        temporary.write_text(text)
    return text


def measure(device, name, folder, results=RESULTS):
    """Run all parts; returns what was found, in words."""
    rows, start, text = [], time.monotonic(), ""
    stem = "gpu" if device == "cuda" else "gpu_cpu"
    for part, limits in PARTS.items():
        limit_s = min(limits[device != "cuda"], ALL_S - (time.monotonic() - start))
        for row in rows_of(command_of(part, device, folder), max(limit_s, 0)):
            rows.append({"device": name, "part": part} | row | {"load": round(os.getloadavg()[0], 1)})
            print(json.dumps(rows[-1]), flush=True)
            seconds = round(time.monotonic() - start, 1)
            text = write(rows, results, stem, device=name, cores=os.cpu_count(), seconds=seconds)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: a GPU if there is one")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this machine has no CUDA device; say --device cpu for a rehearsal")
    if device == "cpu":
        torch.set_num_threads(1)
    if not given.part:
        name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        with tempfile.TemporaryDirectory() as temporary:
            write_store(Path(temporary), 600 if device == "cuda" else 240)
            print(measure(device, name, temporary))
        return
    try:
        for row in getattr(parts, given.part)(device, given.folder):
            print(json.dumps(row), flush=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


if __name__ == "__main__":
    main()
