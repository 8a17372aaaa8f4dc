"""Memory-bank NCE against its written formula in float64, its exact expectation, and one process."""

import math

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from semanticcmc.training.objectives.base import PairRows
from semanticcmc.training.objectives.info_nce import InfoNCE
from semanticcmc.training.objectives.memory_bank_nce import MemoryBankConfig, MemoryBankNCE

FILM = torch.tensor([0] * 12 + [1] * 10 + [2] * 8)
ANCHORS = torch.tensor([*range(9), *range(12, 19), *range(22, 27)])  # the last 3 of each film are not
T, K = 0.3, 40


def objective(seed=7, negatives="all", **changed):
    settings = {"noise": K, "momentum": 0.5, "sharing": "batch", "form": "nce"} | changed
    return MemoryBankNCE(ANCHORS, FILM, 4, MemoryBankConfig(**settings), T, negatives, seed).double()


def batch(seed, count=6):
    generator = torch.Generator().manual_seed(seed)
    first, second = normalize(torch.randn(2, count, 4, generator=generator, dtype=torch.float64), dim=2)
    rows = ANCHORS[torch.randperm(len(ANCHORS), generator=generator)[:count]]
    return first, second, PairRows(rows, rows + 3, FILM[rows])


def written_formula(views, banks, rows, noise, form, normalisers=None, allowed=lambda i, k: True):
    """Loss and Z, one score at a time; `noise` (B, K) are rows, banks and views in the order of the views."""
    n, total, z = len(ANCHORS), 0.0, [0.0, 0.0]
    for direction in (0, 1):
        view, bank = views[direction].numpy(), banks[1 - direction].numpy()
        seen = [[k for k in noise[i].tolist() if allowed(rows[i], k)] for i in range(len(rows))]
        own = [math.exp(view[i] @ bank[row] / T) for i, row in enumerate(rows)]
        others = [[math.exp(view[i] @ bank[k] / T) for k in seen[i]] for i in range(len(rows))]
        z[direction] = np.mean(own + [score for scores in others for score in scores]) * n
        if normalisers is not None:
            z[direction] = normalisers[direction]
        for i in range(len(rows)):
            if form == "softmax":
                total -= math.log(own[i] / (own[i] + sum(others[i])))
                continue
            p = own[i] / z[direction]
            total -= math.log(p / (p + K / n))
            total -= sum(math.log((K / n) / (score / z[direction] + K / n)) for score in others[i])
    return total / len(rows), z


def noise_of_the_next_batch(nce, count):
    """The noise as it is specified: uniform over first frames, by torch.randint from the objective's generator."""
    generator = torch.Generator()
    generator.set_state(nce.generator.get_state())
    shape = (count, K) if nce.config.sharing == "sample" else (K,)
    return ANCHORS[torch.randint(len(ANCHORS), shape, generator=generator)].expand(count, K)


@pytest.mark.parametrize("sharing", ["batch", "sample"])
@pytest.mark.parametrize("form", ["nce", "softmax"])
@pytest.mark.parametrize("negatives", ["all", "within_film", "cross_film"])
def test_the_loss_is_the_written_formula_and_z_is_that_of_the_first_batch(sharing, form, negatives):
    def allowed(row, k):
        same = bool(FILM[row] == FILM[k])
        return negatives == "all" or same == (negatives == "within_film")

    nce, z = objective(sharing=sharing, form=form, negatives=negatives), None
    for seed in range(3):
        first, second, rows = batch(seed)
        banks, noise = nce.banks.clone(), noise_of_the_next_batch(nce, 6)
        expected, now = written_formula((first, second), banks, rows.first, noise, form, z, allowed)
        assert nce(first, second, rows).item() == pytest.approx(expected, rel=1e-7)
        z = z or now
    if form == "nce":
        measures = nce.measures()
        assert (measures["normaliser_first"], measures["normaliser_second"]) == pytest.approx(tuple(z))
    else:
        assert nce.measures() == {"temperature": pytest.approx(T)}


def test_known_value_where_all_scores_are_alike():
    """Then P is 1/n everywhere, whatever T is, and each direction is log(1 + K) + K log((1 + K) / K)."""
    nce = objective()
    nce.banks.copy_(torch.tensor([1.0, 0, 0, 0]).expand_as(nce.banks))
    same = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(6, 4)
    expected = 2 * (math.log(1 + K) + K * math.log((1 + K) / K))
    assert nce(same, same, batch(0)[2]).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("sharing", ["batch", "sample"])
def test_gradients(sharing):
    nce = objective(sharing=sharing, negatives="cross_film")
    first, second, rows = batch(0)
    nce(first, second, rows)
    nce.eval()
    state = nce.generator.get_state()

    def loss(x, y):
        nce.generator.set_state(state)
        return nce(x, y, rows)

    assert torch.autograd.gradcheck(loss, (first.requires_grad_(), second.requires_grad_()))


@pytest.mark.parametrize("sharing", ["batch", "sample"])
def test_the_mean_over_draws_of_noise_is_the_exact_expectation(sharing):
    """Each of the K draws is uniform over first frames: K times the mean over all of them, shared or not."""
    nce = objective(sharing=sharing)
    first, second, rows = batch(0)
    nce(first, second, rows)
    nce.eval()
    z = nce.normalisers.tolist()
    every = ANCHORS.expand(6, -1)
    own, _ = written_formula((first, second), nce.banks, rows.first, every[:, :0], "nce", z)
    both, _ = written_formula((first, second), nce.banks, rows.first, every, "nce", z)
    expected = own + (both - own) * K / len(ANCHORS)
    losses = np.array([nce(first, second, rows).item() for _ in range(1500)])
    error = losses.std(ddof=1) / math.sqrt(len(losses))
    assert error < 0.005 * expected and abs(losses.mean() - expected) < 4 * error


@pytest.mark.parametrize("form", ["nce", "softmax"])
def test_shared_and_own_noise_have_the_same_expected_loss_and_gradient(form):
    first, second, rows = batch(0)
    found = {}
    for sharing in ("batch", "sample"):
        nce = objective(sharing=sharing, form=form)
        nce.normalisers.fill_(30.0)
        nce.set_extra_state(nce.get_extra_state())  # Z is there
        nce.eval()
        values = []
        for _ in range(800):
            x = first.clone().requires_grad_()
            loss = nce(x, second, rows)
            loss.backward()
            values.append([loss.item(), *x.grad.flatten().tolist()])
        found[sharing] = np.array(values)
    means = [values.mean(0) for values in found.values()]
    errors = [values.var(0, ddof=1) / len(values) for values in found.values()]
    z = (means[0] - means[1]) / np.sqrt(sum(errors))
    assert np.abs(z).max() < 4.5 and 0.5 < z.std() < 1.6  # 25 values


def test_banks_remember_what_was_seen_and_the_last_of_one_row_counts():
    nce = objective(momentum=0.75)
    before = nce.banks.clone()
    first, second, _ = batch(0, count=4)
    rows = torch.tensor([3, 14, 3, 22])
    nce(first, second, PairRows(rows, rows + 3, FILM[rows]))
    for bank, old, view in zip(nce.banks, before, (first, second), strict=True):
        for row, i in ((3, 2), (14, 1), (22, 3)):
            mixed = 0.75 * old[row] + 0.25 * view[i]
            torch.testing.assert_close(bank[row], mixed / mixed.norm())
        others = [row for row in range(len(FILM)) if row not in (3, 14, 22)]
        assert torch.equal(bank[others], old[others])
    nce.eval()
    after = nce.banks.clone()
    nce(first, second, PairRows(rows, rows + 3, FILM[rows]))
    assert torch.equal(nce.banks, after)


def test_banks_start_uniform_with_unit_norm_on_average():
    film, config = torch.zeros(4000, dtype=torch.long), MemoryBankConfig(1, 0.0, "batch", "nce")
    banks = MemoryBankNCE(ANCHORS, film, 48, config, 1.0, "all", seed=0).banks
    assert banks.abs().max() <= math.sqrt(3 / 48) and banks.abs().max() > 0.999 * math.sqrt(3 / 48)
    assert banks.square().sum(2).mean().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(banks[0], banks[1])


def test_a_saved_objective_goes_on_bit_equal(tmp_path):
    def losses(nce, seeds):
        return [nce(*batch(seed)).item() for seed in seeds]

    whole = losses(objective(), range(6))
    halfway = objective()
    losses(halfway, range(3))
    torch.save(halfway.state_dict(), tmp_path / "objective.pt")
    resumed = objective(seed=99)
    resumed.load_state_dict(torch.load(tmp_path / "objective.pt", weights_only=True))
    assert losses(resumed, range(3, 6)) == whole[3:]
    assert losses(objective(seed=99), range(6)) != whole


def objectives():
    return {
        "InfoNCE": InfoNCE(0.2, learnable=True),
        "InfoNCE within a film": InfoNCE(0.2, learnable=True, negatives="within_film"),
        "NCE": objective().float(),
        "softmax, own noise": objective(sharing="sample", form="softmax").float(),
    }


def two_steps(network, part):
    """Gradients of an encoder and of the temperature, loss and banks after two steps, by objective."""
    found = {}
    for name, one in objectives().items():
        for seed in (0, 1):
            first, second, rows = batch(seed, count=8)
            network.zero_grad()
            one.zero_grad()
            views = (normalize(network(view[part].float()), dim=1) for view in (first, second))
            loss = one(*views, PairRows(*(row[part] for row in rows)))
            loss.backward()
        found[name] = [loss.detach(), *(p.grad.clone() for p in network.parameters())]
        if isinstance(one, InfoNCE):
            found[name].append(one.log_temperature.grad.clone())
        else:
            found[name] += [one.banks.clone(), one.normalisers.clone()]
    return found


def encoder():
    torch.manual_seed(3)
    return torch.nn.Linear(4, 4)


def one_of_two(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    network = DistributedDataParallel(encoder())
    torch.save(two_steps(network, slice(4 * rank, 4 * rank + 4)), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch without gloo")
def test_two_processes_have_the_gradients_of_one(tmp_path):
    """Of an encoder under DistributedDataParallel, each process with half of the batch."""
    one = two_steps(encoder(), slice(None))
    multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        for name, values in torch.load(tmp_path / f"{rank}.pt").items():
            for value, expected in zip(values, one[name], strict=True):
                torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("form", ["nce", "softmax"])
def test_the_same_losses_and_banks_on_a_gpu(form):
    here, there = objective(form=form), objective(form=form).cuda()
    for seed in range(3):
        first, second, rows = batch(seed)
        expected = here(first, second, rows)
        torch.testing.assert_close(there(first.cuda(), second.cuda(), rows).cpu(), expected)
    torch.testing.assert_close(there.banks.cpu(), here.banks)
