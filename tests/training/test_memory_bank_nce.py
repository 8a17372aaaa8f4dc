"""Memory-bank NCE against its written formula in float64, its exact expectation, and one process."""

import math
import types

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from semanticcmc.training.objectives.info_nce import InfoNCE, InfoNCEConfig
from semanticcmc.training.objectives.memory_bank_nce import MemoryBankConfig, MemoryBankNCE, MemoryBankNCEConfig
from tests.training.drawn import drawn, no_pairing

FILM = torch.tensor([0] * 12 + [1] * 10 + [2] * 8)
ANCHORS = torch.tensor([*range(9), *range(12, 19), *range(22, 27)])  # the last 3 of each film are not
T, K = 0.3, 40


class Linear(torch.nn.Module):
    """An encoder of vectors."""

    colour_space = "rgb"
    config = types.SimpleNamespace(embedding_dim=4)

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer = torch.nn.Linear(4, 4)

    def pair(self, *views):
        return tuple(normalize(self.layer(view), dim=1) for view in views)


def pairing(every=1, film=FILM):
    pairs = types.SimpleNamespace(anchors=ANCHORS[::every], film=film)
    return no_pairing(pairs=pairs, thinned=lambda every: pairing(every, film))


def objective(seed=7, negatives="all", film=FILM, dim=4, encoder=None, **changed):
    settings = {"noise": K, "momentum": 0.5, "sharing": "batch", "form": "nce"}
    settings |= {"normaliser": "first_batch", "bank": "random", "every": 1} | changed
    config = MemoryBankNCEConfig(T, negatives, MemoryBankConfig(**settings))
    encoder = encoder or Linear()
    encoder.config = types.SimpleNamespace(embedding_dim=dim)
    return MemoryBankNCE(config, encoder, pairing(film=film), seed).double()


def batch(seed, count=6):
    generator = torch.Generator().manual_seed(seed)
    first, second = normalize(torch.randn(2, count, 4, generator=generator, dtype=torch.float64), dim=2)
    rows = ANCHORS[torch.randperm(len(ANCHORS), generator=generator)[:count]]
    return first, second, drawn(rows, FILM[rows], 3)


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
@pytest.mark.parametrize("normaliser", ["first_batch", "running"])
def test_the_loss_is_the_written_formula_and_z_of_the_first_batch_or_of_each(sharing, form, negatives, normaliser):
    def allowed(row, k):
        same = bool(FILM[row] == FILM[k])
        return negatives == "all" or same == (negatives == "within_film")

    nce, z = objective(sharing=sharing, form=form, negatives=negatives, normaliser=normaliser), None
    for seed in range(3):
        first, second, rows = batch(seed)
        banks, noise = nce.banks.clone(), noise_of_the_next_batch(nce, 6)
        expected, now = written_formula((first, second), banks, rows.rows[:, 0], noise, form, z, allowed)
        assert nce.loss(first, second, rows).item() == pytest.approx(expected, rel=1e-7)
        frozen = z or now
        assert nce.measures()["temperature"] == pytest.approx(T)
        if form == "nce":
            of_each = frozen if normaliser == "first_batch" else now
            assert nce.normalisers.tolist() == pytest.approx(of_each)
        z = frozen if normaliser == "first_batch" else None


def test_known_value_where_all_scores_are_alike():
    """Then P is 1/n everywhere, whatever T is, and each direction is log(1 + K) + K log((1 + K) / K)."""
    nce = objective()
    nce.banks.copy_(torch.tensor([1.0, 0, 0, 0]).expand_as(nce.banks))
    same = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(6, 4)
    expected = 2 * (math.log(1 + K) + K * math.log((1 + K) / K))
    assert nce.loss(same, same, batch(0)[2]).item() == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("sharing", ["batch", "sample"])
def test_gradients(sharing):
    nce = objective(sharing=sharing, negatives="cross_film")
    first, second, rows = batch(0)
    nce.loss(first, second, rows)
    nce.eval()
    state = nce.generator.get_state()

    def loss(x, y):
        nce.generator.set_state(state)
        return nce.loss(x, y, rows)

    assert torch.autograd.gradcheck(loss, (first.requires_grad_(), second.requires_grad_()))


@pytest.mark.parametrize("sharing", ["batch", "sample"])
def test_the_mean_over_draws_of_noise_is_the_exact_expectation(sharing):
    """Each of the K draws is uniform over first frames: K times the mean over all of them, shared or not."""
    nce = objective(sharing=sharing)
    first, second, rows = batch(0)
    nce.loss(first, second, rows)
    nce.eval()
    z = nce.normalisers.tolist()
    every = ANCHORS.expand(6, -1)
    own, _ = written_formula((first, second), nce.banks, rows.rows[:, 0], every[:, :0], "nce", z)
    both, _ = written_formula((first, second), nce.banks, rows.rows[:, 0], every, "nce", z)
    expected = own + (both - own) * K / len(ANCHORS)
    losses = np.array([nce.loss(first, second, rows).item() for _ in range(1500)])
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
            loss = nce.loss(x, second, rows)
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
    nce.loss(first, second, drawn(rows, FILM[rows], 3))
    for bank, old, view in zip(nce.banks, before, (first, second), strict=True):
        for row, i in ((3, 2), (14, 1), (22, 3)):
            mixed = 0.75 * old[row] + 0.25 * view[i]
            torch.testing.assert_close(bank[row], mixed / mixed.norm())
        others = [row for row in range(len(FILM)) if row not in (3, 14, 22)]
        assert torch.equal(bank[others], old[others])
    nce.eval()
    after = nce.banks.clone()
    nce.loss(first, second, drawn(rows, FILM[rows], 3))
    assert torch.equal(nce.banks, after)


def test_every_so_manyth_first_frame_alone_is_a_pair_and_noise():
    nce = objective(every=4)
    assert nce.pairing.pairs.anchors.tolist() == ANCHORS[::4].tolist()


def test_a_bank_filled_by_a_forward_pass_holds_what_the_encoder_makes_of_both_frames():
    encoder = Linear()
    nce = objective(encoder=encoder, bank="forward_pass", every=2)
    looks = torch.randn(len(FILM), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    nce.images_of, nce.pairing.pairs.lag_s = (lambda rows: looks[rows]), 3.0
    nce.pairing.pairs.partner = lambda rows, lag_s: rows + int(lag_s)
    before = nce.banks.clone()
    nce.start()
    visited = ANCHORS[::2]
    for bank, lag in zip(nce.banks, (0, 3), strict=True):
        expected = encoder.pair(looks[visited + lag])[0]
        torch.testing.assert_close(bank[visited], expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(nce.banks[:, ANCHORS[1]], before[:, ANCHORS[1]])


def test_banks_start_uniform_with_unit_norm_on_average():
    banks = objective(film=torch.zeros(4000, dtype=torch.long), dim=48, seed=0).banks
    assert banks.abs().max() <= math.sqrt(3 / 48) and banks.abs().max() > 0.999 * math.sqrt(3 / 48)
    assert banks.square().sum(2).mean().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(banks[0], banks[1])


def test_a_saved_objective_goes_on_bit_equal(tmp_path):
    def losses(nce, seeds):
        return [nce.loss(*batch(seed)).item() for seed in seeds]

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
        "InfoNCE": InfoNCE(InfoNCEConfig(0.2, True, "all"), Linear(), no_pairing(), 0),
        "InfoNCE within a film": InfoNCE(InfoNCEConfig(0.2, True, "within_film"), Linear(), no_pairing(), 0),
        "NCE": objective().float(),
        "softmax, own noise": objective(sharing="sample", form="softmax").float(),
    }


def two_steps(part, wrap):
    """Gradients of the encoder and of the temperature, loss and banks after two steps, by objective."""
    found = {}
    for name, one in objectives().items():
        wrapped = wrap(one)
        for seed in (0, 1):
            first, second, draw = batch(seed, count=8)
            one.zero_grad()
            loss = wrapped((first[part].float(), second[part].float()), draw.part(part))
            loss.backward()
        found[name] = [loss.detach(), *(p.grad.clone() for p in one.parameters())]
        if not isinstance(one, InfoNCE):
            found[name] += [one.banks.clone(), one.normalisers.clone()]
    return found


def one_of_two(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = two_steps(slice(4 * rank, 4 * rank + 4), lambda one: DistributedDataParallel(one, broadcast_buffers=False))
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch without gloo")
def test_two_processes_have_the_gradients_of_one(tmp_path):
    """Of an objective under DistributedDataParallel, each process with half of the batch."""
    one = two_steps(slice(None), lambda objective: objective)
    multiprocessing.start_processes(one_of_two, (str(tmp_path),), nprocs=2, start_method="forkserver")
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
        first, second, draw = batch(seed)
        expected = here.loss(first, second, draw)
        found = there.loss(first.cuda(), second.cuda(), draw.to(torch.device("cuda")))
        torch.testing.assert_close(found.cpu(), expected)
    torch.testing.assert_close(there.banks.cpu(), here.banks)
