"""Reading that adapts: everybody counts what is read in the same way."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn import memory as memory_module
from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import CountsError, OptionError
from charrnn.generation import Generation
from charrnn.inspection.predictions import distributions
from charrnn.kernels.growth import WEIGHT
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from tests.counts import Dictionaries

Array = NDArray[Any]

VOCABULARIES = {
    "with": Vocab("\nabcdefg", (1, 2, 3, 4, 5, 6, 1, 1)),
    "without": Vocab("abcdefgh", (5, 9, 5, 1, 5, 5, 1, 1)),
}

#: A name that was never counted, again and again.
READ = "gafeb bad gafeb dab gafeb cab gafeb".replace(" ", "") * 2


@pytest.fixture
def new_model(new_network: Callable[..., Network]) -> Callable[..., TextModel]:
    """Make a model with a memory that adapts."""

    def make(vocab: Vocab, *, share: float = 0.25, lines: bool = False) -> TextModel:
        network = new_network(ModelConfig(vocab_size=8, cell="rnn", hidden=4))
        model = TextModel.of(network, vocab, lines=lines)
        counted = Memory(
            ids=np.random.default_rng(5).integers(0, 4, 200).astype(np.uint8),
            order=5,
            share=share,
            vocab_size=8,
            before=model.documents.stand_in,
            newline=model.documents.start,
        )
        return replace(model, memory=counted).blended(adapt=True)

    return make


def expected_rows(model: TextModel, ids: Array) -> tuple[Array, Array]:
    """Find what dictionaries say at every place of a text, and behind it.

    Returns
    -------
    rows : (N + 1, V) array
    shares : (N + 1, 1) array
        Of the network, of which a place has a quarter.
    """
    assert model.memory is not None
    plain, read, rows, shares = (
        Dictionaries(model.memory),
        [model.memory.before],
        [],
        [],
    )
    for symbol in [*ids.tolist(), None]:
        rows.append(plain.row(read))
        shares.append([plain.share(read, 0.25)])
        if symbol is not None:
            plain.count(read, symbol, WEIGHT)
            read.append(symbol)
    return np.array(rows), np.array(shares)


def alone(model: TextModel) -> TextModel:
    """Take the network of a model, without its memory."""
    return replace(model, memory=None, adapts=False)


vocabularies = pytest.mark.parametrize("vocab", VOCABULARIES.values(), ids=VOCABULARIES)


@vocabularies
@pytest.mark.parametrize("lines", [False, True])
def test_a_text_is_counted_as_it_is_read(
    new_model: Any, vocab: Vocab, lines: bool
) -> None:
    """Costs and distributions are those of dictionaries, beside the static ones."""
    model = new_model(vocab, lines=lines)
    ids = vocab.encode(READ + ("\nabc\n" if "\n" in vocab.symbols else ""))
    (network,) = (np.concatenate([c.nats for c in alone(model).costs([ids])]),)
    parts = [*model.costs([ids])]
    costs, fixed = (
        np.concatenate(
            [getattr(part, name) for part in parts if part.fixed is not None]
        )
        for name in ("nats", "fixed")
    )
    first = model.documents.first
    expected, shares = expected_rows(model, ids)
    p, share = expected[np.arange(len(ids)), ids][first:], shares[first:-1, 0]
    assert share.min() < 0.1  # within the name
    static = model.memory.probabilities(ids)[first:]
    q = np.exp(-network.astype(float))[first:]

    np.testing.assert_allclose(costs, -np.log(share * q + (1 - share) * p), 1e-9)
    np.testing.assert_allclose(fixed, -np.log(0.25 * q + 0.75 * static), 1e-9)
    assert costs[20:].mean() < fixed[20:].mean() - 0.5  # it has learned the name
    rows = np.array(list(distributions(model, ids, 0)))
    np.testing.assert_allclose(rows.sum(axis=1), 1, 0, 1e-12)
    own = np.array(list(distributions(alone(model), ids, 0)))
    np.testing.assert_allclose(
        rows[first:],
        (shares * own + (1 - shares) * expected)[first:],
        1e-9,
    )
    tail = np.array(list(distributions(model, ids, len(ids) - 3)))
    np.testing.assert_array_equal(tail, rows[-4:])


@vocabularies
def test_it_does_not_matter_how_a_text_is_cut(new_model: Any, vocab: Vocab) -> None:
    model, ids = new_model(vocab), vocab.encode(READ * 9)
    whole = np.concatenate([part.nats for part in model.costs([ids])])
    for cuts in ([1], [1, 2, 3], [255, 256, 257]):
        found = model.costs(np.split(ids, cuts))
        assert np.concatenate([part.nats for part in found]).tolist() == whole.tolist()
    assert model.surprise(READ * 9, adapt=True).tolist() == whole.tolist()


def test_nothing_is_left_behind(new_model: Any) -> None:
    """Every text is read as if it were the first."""
    model = new_model(VOCABULARIES["with"])
    losses = [model.loss(READ, adapt=True) for _ in range(2)]
    static = model.loss(READ)

    assert losses[0] == losses[1] < static
    assert model.blended().loss(READ) == static
    assert model.sample(READ, length=9, seed=1) == model.blended().sample(
        READ, length=9, seed=1
    )


@vocabularies
@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("prompt", ["", "gafebgafebg"])
def test_samples_go_on_as_dictionaries_say(
    new_model: Any, vocab: Vocab, learns: bool, prompt: str
) -> None:
    """Character after character: of the prompt, and of the text if that is asked."""
    model, count = new_model(vocab, share=0.0), 40
    text = model.sample(
        prompt, length=count, temperature=0, adapt=True, adapt_output=learns
    )
    assert model.memory is not None
    plain, read = Dictionaries(model.memory), [model.memory.before]
    for symbol in vocab.encode(prompt).tolist():
        plain.count(read, symbol, WEIGHT)
        read.append(symbol)
    first = 0 if prompt or model.documents.before is not None else 1
    read += vocab.encode(text).tolist()[:first]  # by shares, and not counted
    for symbol in vocab.encode(text).tolist()[first:]:
        assert symbol == int(np.argmax(plain.row(read)))
        if learns:
            plain.count(read, symbol, WEIGHT)
        read = [*read, symbol]


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_sample_is_the_same_alone_and_in_a_batch(
    new_model: Any, learns: bool, threads: int
) -> None:
    """Prompts do not teach one another, nor do samples."""
    vocab = VOCABULARIES["with"]
    model = new_model(vocab)
    prompts = ["gafebgafebga", "bad", "eeggeegg"]

    def texts(*asked: str, each: int) -> list[str]:
        config = SampleConfig(length=50, num_samples=each, seed=4)
        found = [""] * (each * len(asked))
        ids = [vocab.encode(prompt) for prompt in asked]
        generation = Generation(model, ids, config, learns=learns)
        for piece in generation.pieces():
            found[piece.sample] += piece.text
        return found

    model.network.threads = threads
    batch = texts(*prompts, each=3)
    assert batch[:3] == texts(prompts[0], each=3)
    assert batch[0] == texts(prompts[0], each=1)[0]
    assert len(set(batch)) == 9


def test_what_is_counted_has_a_bound(
    new_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind it the text is read on by what was counted so far."""
    monkeypatch.setattr(memory_module, "MOST_LEARNED", 300)
    vocab = VOCABULARIES["with"]
    model, ids = new_model(vocab), vocab.encode(READ * 40)
    reading = model.reading()
    for part in np.split(ids, range(100, len(ids), 100)):
        reading.read(part)
    grown = reading.blend.growth

    assert not reading.blend.learns
    assert 0 < grown.used[0] <= 300 * 5
    endless = model.sample("gafeb", length=2000, seed=1, adapt=True, adapt_output=True)
    assert len(endless) == 2000


def test_what_it_takes(new_model: Any) -> None:
    model = new_model(VOCABULARIES["with"])
    for predict in (alone(model).sample, alone(model).loss, alone(model).surprise):
        with pytest.raises(CountsError, match=r"adapt=True needs a model") as caught:
            predict("abc", adapt=True)
        assert caught.value.hint is not None
    with pytest.raises(OptionError, match="adapt_output does nothing without adapt"):
        model.sample(adapt_output=True)
