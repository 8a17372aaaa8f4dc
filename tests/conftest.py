"""What several test modules share: the repository, the smoke experiment run once through the whole pipeline."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def repository():
    return ROOT


def run_pipeline(experiment, results, *arguments, **options):
    """`python -m semanticcmc.workflow` as a user runs it; returns the finished process."""
    command = [sys.executable, "-m", "semanticcmc", "run", str(experiment), "--results", str(results), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options
    )


@pytest.fixture(scope="session")
def pipeline():
    return run_pipeline


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """The smoke experiment from the world to the poster: the results folder and what the command said."""
    results = tmp_path_factory.mktemp("smoke")
    done = run_pipeline("smoke", results)
    assert done.returncode == 0, done.stdout + done.stderr
    return results / "smoke", done.stdout
