"""How much of a blend the network is, and what the blend is worth."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.generation import Stopped
from charrnn.training import blending, kneser_ney
from charrnn.training.blending import Counting, cost, cross_validated, fit_share
from charrnn.training.job import Job
from tests.training.support import TEXT, prepared

Ready = Callable[..., Job]


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    """Prepare a run on a text, the little one if no other is given."""

    def prepare(text: str = TEXT, **options: Any) -> Job:
        return prepared(tmp_path / "t.txt", text, **options)

    return prepare


@pytest.fixture
def pair(rng: np.random.Generator) -> tuple[Any, Any]:
    """Draw probabilities that two models give characters, good at different ones."""
    return rng.uniform(0.001, 1, 4000) ** 2, rng.uniform(0.001, 1, 4000)


@pytest.mark.small
def test_the_share_is_the_likeliest(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all that are written with so many digits, if none is usual."""
    monkeypatch.setattr(blending, "PRIOR", 0.0)
    p, q = pair
    shares = np.linspace(0, 1, 1001)
    best = shares[np.argmin([cost(p, q, share) for share in shares])]

    assert fit_share(p, q, 0.5) == pytest.approx(best, abs=0.0011)


@pytest.mark.small
def test_the_share_is_nothing_or_all_where_one_is_always_better() -> None:
    good, bad = np.full(100_000, 0.5), np.full(100_000, 0.1)

    assert fit_share(good, bad, 0.5) == 1
    assert fit_share(bad, good, 0.5) == 0


@pytest.mark.small
def test_what_a_network_holds_impossible_is_left_to_counts() -> None:
    """A share of 1 would make one such character cost infinity."""
    p, q = np.full(1000, 0.9), np.full(1000, 0.1)
    p[500] = 0

    share = fit_share(p, q, 0.5)

    assert 0.9 < share < 1
    assert np.isfinite(cost(p, q, share))


@pytest.mark.small
def test_few_characters_choose_no_extreme() -> None:
    """The usual share stands for some that have been seen before."""
    p, q = np.array([0.9]), np.array([0.1])

    assert fit_share(p, q, 0.6) == pytest.approx(0.6, abs=0.05)
    assert fit_share(p[:0], q[:0], 0.6) == 0.6
    assert fit_share(q, p, 0.6) < 0.6


@pytest.mark.small
@pytest.mark.parametrize("better", [0, 1])
@pytest.mark.parametrize("size", [1000, 1500, 3000])
def test_a_blend_costs_no_more_than_the_better_one_alone(
    rng: np.random.Generator, better: int, size: int
) -> None:
    """Not even where a share is usual that gives much to the other one."""
    good, bad = rng.uniform(0.1, 0.9, size), rng.uniform(1e-6, 1e-3, size)
    p, q = (good, bad) if better else (bad, good)

    share, loss = fit_share(p, q, 0.4), cross_validated(p, q, 0.4)

    assert share == pytest.approx(better, abs=0.002)
    assert loss <= cost(good, bad, 1) / size + 0.002


@pytest.mark.small
def test_each_half_is_scored_by_the_share_of_the_other(pair: tuple[Any, Any]) -> None:
    p, q = pair
    p = np.append(p[:2000], p[2000:] / 4)  # the halves want different shares
    first, last = slice(2000), slice(2000, None)
    of_first, of_last = (fit_share(p[part], q[part], 0.5) for part in (first, last))
    expected = cost(p[first], q[first], of_last) + cost(p[last], q[last], of_first)

    loss = cross_validated(p, q, 0.5)

    assert of_first > of_last + 0.1
    assert loss == pytest.approx(expected / 4000)
    # What is told is no better than what the share for all of it would tell.
    assert loss > cost(p, q, fit_share(p, q, 0.5)) / 4000


def test_a_blend_is_what_counts_and_network_say(ready: Ready) -> None:
    """By hand: the network's losses, and the yardstick's probabilities."""
    job = ready()
    assert job.held_out is not None
    texts = job.texts(job.trainer.streams.ids, job.held_out)
    model = job.model(job.trainer.averaged)

    blend = Counting(job).blend(model)

    orders = list(kneser_ney.losses(texts))
    assert blend.ngram == min(orders, key=lambda found: found.loss)
    q = list(kneser_ney.probabilities(texts))[blend.order - 1]
    p = np.exp(-model.network_costs(job.held_out))
    usual = blending.usual_share(len(job.trainer.streams.ids), 0.0, lines=False)
    assert blend.share == fit_share(p, q, usual)
    assert blend.loss == pytest.approx(cross_validated(p, q, usual))
    assert blend.network_loss == pytest.approx(model.mean_loss(job.held_out))
    assert blend.ngram_loss == pytest.approx(orders[blend.order - 1].loss)
    assert (blend.loss or 0) < model.mean_loss(job.held_out)


@pytest.mark.parametrize("worth", [0.0, 0.0005, 0.02, 1.0])
def test_a_longer_order_has_to_pay(
    ready: Ready, monkeypatch: pytest.MonkeyPatch, worth: float
) -> None:
    """Of those from the one that is best alone on, the shortest that is good enough."""
    monkeypatch.setattr(blending, "WORTH", worth)
    # Each phrase stands there twice as it is, and is often begun alike.
    heads = ["the gray sea ", "the gray hill ", "a gray sea ", "the old sea "]
    tails = ["went out.\n", "went home.\n", "came in at last.\n", "rose.\n"]
    rng = np.random.default_rng(7)
    text = "".join(heads[rng.integers(4)] + tails[rng.integers(4)] for _ in range(90))
    job = ready(text)
    assert job.held_out is not None
    texts = job.texts(job.trainer.streams.ids, job.held_out)
    model = job.model(job.trainer.averaged)
    p = np.exp(-model.network_costs(job.held_out))
    usual = blending.usual_share(len(job.trainer.streams.ids), 0.0, lines=False)
    alone = [ngram.loss for ngram in kneser_ney.losses(texts)]
    best = alone.index(min(alone))
    both = [cross_validated(p, q, usual) for q in kneser_ney.probabilities(texts)]

    order = Counting(job).blend(model).order

    allowed = range(best, len(both))
    good = [n for n in allowed if both[n] <= min(both[best:]) + worth]
    assert order == min(good) + 1
    if worth == 1.0:
        assert order == best + 1


def test_a_memory_predicts_what_the_blend_was_fitted_on(ready: Ready) -> None:
    """What a checkpoint keeps gives the held-out text the same probabilities."""
    job = ready(lines=True)
    assert job.held_out is not None
    counting = Counting(job)
    network = job.trainer.averaged
    blend = counting.blend(job.model(network))

    memory = job.model(network, counting.memory(blend)).memory

    assert memory is not None
    assert (memory.order, memory.share) == (blend.order, blend.share)
    texts = job.texts(job.trainer.streams.ids, job.held_out)
    q = list(kneser_ney.probabilities(texts))[blend.order - 1]
    np.testing.assert_allclose(memory.probabilities(job.held_out), q, rtol=1e-9)


def test_the_first_character_is_not_the_networks_to_predict(ready: Ready) -> None:
    """Without a newline nothing stands before a text."""
    job = ready(TEXT.replace("\n", " "))
    assert job.documents.first == 1

    blend = Counting(job).blend(job.model(job.trainer.averaged))

    assert blend.loss is not None
    assert np.isfinite(blend.loss)
    # All three losses are of the same characters.
    assert job.held_out is not None
    texts = job.texts(job.trainer.streams.ids, job.held_out)
    q = list(kneser_ney.probabilities(texts))[blend.order - 1]
    assert blend.ngram_loss == pytest.approx(-np.log(q[1:]).mean())


@pytest.mark.parametrize("lines", [False, True])
def test_without_a_held_out_text_the_order_is_probed(ready: Ready, lines: bool) -> None:
    """By the text's own end; the share is the usual one, and no loss is told."""
    job = ready(TEXT * 4, val_fraction=0.0, lines=lines)

    blend = Counting(job).blend(job.model(job.trainer.averaged))

    characters, epochs = len(job.trainer.streams.ids), job.trainer.epochs
    usual = blending.usual_share(characters, epochs, lines=lines)
    assert (blend.loss, blend.ngram, blend.share) == (None, None, usual)
    assert (blend.network_loss, blend.ngram_loss) == (None, None)
    assert blend.order > 3  # a text that stands there four times


def test_a_text_too_short_to_probe_is_counted_by_characters(ready: Ready) -> None:
    job = ready("abcabcab", val_fraction=0.0, batch_size=1, seq_length=4)

    assert Counting(job).blend(job.model(job.trainer.averaged)).order == 1


def test_who_asks_to_stop_does_not_wait(ready: Ready) -> None:
    """Neither for counts nor for the network."""
    job, asked = ready(), [False]
    with pytest.raises(Stopped):
        Counting(job, lambda: True)
    counting = Counting(job, lambda: asked[0])

    asked[0] = True

    with pytest.raises(Stopped):
        counting.blend(job.model(job.trainer.averaged))


@pytest.mark.small
@pytest.mark.parametrize("lines", [False, True])
def test_usual_shares_are_shares(lines: bool) -> None:
    """Of any text and run; more passes leave less to the counts."""
    for characters in (1, 1000, 10**5, 10**7):
        passes = 0, 0.5, 2, 10, 1000
        shares = [blending.usual_share(characters, n, lines=lines) for n in passes]
        assert all(0 < share < 1 for share in shares)
        assert shares == sorted(shares)
