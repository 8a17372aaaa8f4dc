"""Imported by every Python that finds this folder on its path: writes down which files it opens.

The first line of a file says who started this process and where its output goes, which tells the job. A fork has opened
what its parent opened before.
"""

import os
import sys


def _where(stream):
    try:
        return os.readlink(f"/proc/self/fd/{stream}")
    except OSError:
        return ""


if "OPENED" in os.environ:
    folder, seen, listings = os.environ["OPENED"], {}, {}

    def note(event, arguments):
        if event == "open" and isinstance(arguments[0], str) and arguments[0] != os.devnull:
            new, process = arguments[0] not in seen, os.getpid()
            seen.setdefault(arguments[0])
            if process not in listings:  # first after the start, or after a fork
                listings[process] = None  # the next line opens a file too
                file = os.path.join(folder, f"{process}.txt")
                listings[process] = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                told = [f"{os.getppid()} {_where(1)}", *map(os.path.abspath, seen)]
            elif new and listings[process] is not None:
                told = [os.path.abspath(arguments[0])]
            else:
                return
            os.write(listings[process], "".join(f"{line}\n" for line in told).encode("utf-8", "surrogateescape"))

    note("open", (__file__,))
    sys.addaudithook(note)
