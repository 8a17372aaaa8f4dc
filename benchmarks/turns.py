"""What all benchmarks say of their turns: median, least and greatest, the machine's load, and whether it was quiet."""

import os
import statistics

QUIET = 0.5  # of the load average (1 minute) is left to others, besides one for each thread of the benchmark


def load():
    return os.getloadavg()[0]


def spread(name, values):
    """Median of the turns, `<name>_min` and `<name>_max`."""
    return {name: statistics.median(values), f"{name}_min": min(values), f"{name}_max": max(values)}


def loaded(loads, threads=1):
    """The highest load before a turn, and whether nothing else ran."""
    return {"load": max(loads), "quiet": max(loads) <= threads + QUIET}
