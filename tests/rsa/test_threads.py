"""Small problems run on one thread; afterwards there are as many as before."""

import concurrent.futures

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from threadpoolctl import threadpool_info, threadpool_limits

from semanticcmc.rsa import bootstrap, distances, permutation, standardise, threads
from semanticcmc.rsa.bootstrap import compare
from semanticcmc.rsa.mantel import mantel, partial_mantel
from semanticcmc.rsa.rdm import from_class_means
from semanticcmc.rsa.threads import threads_for
from tests.rsa.limits import bootstrap_intervals


def threads_now():
    return torch.get_num_threads(), max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")


@pytest.fixture
def three():
    """Three threads, as a user would give them."""
    threads._blas.cache_clear()  # as in a process that has loaded all its libraries by now
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with threadpool_limits(3, "blas"):
        yield threads_now()
    torch.set_num_threads(before)


def related(n):
    points = np.random.default_rng(n).standard_normal((3, n, 3))
    return [squareform(pdist(one)) for one in points]


def test_small_problems_have_one_thread_and_give_back_the_others(three):
    assert three == (3, 3)
    for seconds, expected in ((0, (1, 1)), (0.01, (1, 1)), (10, three)):
        with threads_for(seconds):
            assert threads_now() == expected
            with threads_for(0):
                assert threads_now() == (1, 1)
            assert threads_now() == expected
        assert threads_now() == three
    with pytest.raises(KeyError), threads_for(0):
        raise KeyError
    assert threads_now() == three


def test_threads_are_never_more_than_were_given():
    before = threads_now()
    torch.set_num_threads(1)
    with threadpool_limits(1, "blas"):
        for seconds in (0, 10):
            with threads_for(seconds):
                assert threads_now() == (1, 1)
        assert threads_now() == (1, 1)
    torch.set_num_threads(before[0])


def test_calls_that_overlap_give_back_what_there_was(three):
    x, y, _ = related(20)
    expected = mantel(x, y, 999)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: mantel(x, y, 999), range(24))) == {expected}
    assert threads_now() == three


@pytest.mark.parametrize("module", [standardise, permutation, bootstrap, distances])
@pytest.mark.parametrize("n", [12, 92, 130])
def test_every_part_of_a_test_of_few_classes_has_one_thread(monkeypatch, three, module, n):
    counts = []
    inner = {
        standardise: "_standardise",
        permutation: "_tests",
        bootstrap: "bootstrap_correlations",
        distances: "_product",
    }
    function = getattr(module, inner[module])

    def spy(*args, **options):
        counts.append(threads_now())
        return function(*args, **options)

    monkeypatch.setattr(module, inner[module], spy)
    x, y, z = related(n)
    partial_mantel(x, y, z, method="spearman")
    bootstrap_intervals({"a": x}, {"m": y}, z, samples=100)
    compare({"a": x, "b": z}, {"m": y}, samples=100)
    from_class_means(np.random.default_rng(0).standard_normal((n, 4096)), list(map(str, range(n))))
    assert counts and set(counts) == {(1, 1)}
    assert threads_now() == three


def test_large_problems_have_all_threads(monkeypatch, three):
    monkeypatch.setattr(threads, "SMALL_S", 0.0)
    counts = []
    function = permutation._tests
    monkeypatch.setattr(permutation, "_tests", lambda *args: counts.append(threads_now()) or function(*args))
    x, y, z = related(12)
    partial_mantel(x, y, z, 99)
    assert counts == [three]


def test_without_threadpoolctl_torch_alone_is_held(monkeypatch, three):
    monkeypatch.setattr(threads, "_blas", lambda: None)
    with threads_for(0):
        assert threads_now() == (1, 3)
    assert threads_now() == three
