"""Generation: a sample depends on its own numbers only, and nothing is shown early."""

import math
from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.arrays import Ids
from charrnn.config import CellName, ModelConfig, SampleConfig
from charrnn.generation import (
    PROMPT_SLICE,
    Generation,
    Piece,
    read_prompt,
    surprise,
    useful_threads,
)
from charrnn.model import Model
from charrnn.parameters import initialize
from charrnn.vocab import Vocab

NewModel = Callable[..., Model]

VOCAB = Vocab("\nabcde", (1, 2, 3, 4, 5, 6))
NO_NEWLINE = Vocab("abcdef", (0, 9, 0, 1, 0, 0))
NOTHING = np.zeros(0, np.int32)


def texts(pieces: Iterable[Piece], count: int) -> list[str]:
    """Put the pieces of each sample together."""
    out = [""] * count
    for piece in pieces:
        out[piece.sample] += piece.text
    return out


def generate(
    model: Model, config: SampleConfig, prompt: Ids = NOTHING, vocab: Vocab = VOCAB
) -> list[str]:
    """Generate all samples to their end."""
    generation = Generation(model, vocab, prompt, config)
    return texts(generation.pieces(), config.num_samples)


@pytest.fixture(params=["rnn", "gru", "lstm"])
def model(request: pytest.FixtureRequest, new_model: NewModel) -> Model:
    """Build a small model of each cell."""
    cell: CellName = request.param
    return new_model(ModelConfig(vocab_size=6, cell=cell, hidden=5, layers=2))


def test_sample_is_the_same_alone_and_in_company(model32: Model) -> None:
    """Also when others of the batch have ended, by a stop text, before it."""
    many = generate(model32, SampleConfig(length=60, num_samples=9, seed=3))
    stopped = SampleConfig(length=60, num_samples=9, seed=3, stop=("ab", "c"))

    for count in (1, 2, 5):
        few = SampleConfig(length=60, num_samples=count, seed=3)
        assert generate(model32, few) == many[:count]
    for text, whole in zip(generate(model32, stopped), many, strict=True):
        assert whole.startswith(text)
    assert len(set(many)) == 9


def test_threads_do_not_change_the_text(
    new_model: NewModel, tiny_config: ModelConfig
) -> None:
    models = [new_model(tiny_config, threads=n) for n in (1, 2)]
    models[1].load(models[0].weights)
    config = SampleConfig(length=20, num_samples=17)

    assert generate(models[0], config) == generate(models[1], config)


def test_seed_decides(model32: Model) -> None:
    configs = [SampleConfig(length=40, seed=seed) for seed in (1, 1, 2)]
    one, again, other = (generate(model32, config) for config in configs)

    assert one == again != other


def test_prompt_is_read_as_if_character_by_character(model: Model) -> None:
    """However long it is, the state and the logits are the same bits."""
    prompt = np.resize(np.array([3, 1, 4, 1, 5, 2, 0], np.int32), 2 * PROMPT_SLICE + 1)
    state, logits = read_prompt(model, VOCAB, prompt)

    expected = model.new_state(1)
    single = np.zeros(0)
    for index in [VOCAB.newline_id, *prompt]:
        single = model.logits(np.array([[index]], np.int32), expected)[0]
    np.testing.assert_array_equal(state, expected)
    np.testing.assert_array_equal(logits, single)


def test_greedy_text_continues_itself(model: Model) -> None:
    """Prompted with the beginning of what it wrote, a model writes the rest."""
    config = SampleConfig(length=40, temperature=0)
    (whole,) = generate(model, config)
    rest = SampleConfig(length=15, temperature=0)

    assert generate(model, rest, VOCAB.encode(whole[:25])) == [whole[25:]]


def test_nats_are_the_loss_of_the_text(model: Model) -> None:
    """Whatever the filters were: it is the model's own opinion."""
    prompt = VOCAB.encode("dead")
    config = SampleConfig(length=50, num_samples=2, temperature=0.5, top_k=3)
    pieces = list(Generation(model, VOCAB, prompt, config).pieces())

    for sample, text in enumerate(texts(pieces, 2)):
        nats = sum(piece.nats for piece in pieces if piece.sample == sample)
        read = np.concatenate([[0], prompt, VOCAB.encode(text)]).astype(np.int32)
        targets = read[1:, None].copy()
        targets[: len(prompt)] = -1
        losses = model.losses(
            read[:-1, None],
            targets,
            np.zeros(targets.shape, np.uint8),
            model.new_state(1),
        )
        assert nats == pytest.approx(losses.sum(), rel=1e-5)


def test_unscored_pieces_have_the_same_text(model32: Model) -> None:
    config = SampleConfig(length=30, num_samples=3)
    pieces = list(Generation(model32, VOCAB, NOTHING, config, scored=False).pieces())

    assert texts(pieces, 3) == generate(model32, config)
    assert not any(piece.nats for piece in pieces)


def test_surprise_is_minus_log_of_the_softmax() -> None:
    logits = np.array([[0.0, math.log(3), -np.inf], [800.0, 0.0, 800.0]], np.float32)

    np.testing.assert_allclose(
        surprise(logits, np.array([1, 2], np.int32)), [math.log(4 / 3), math.log(2)]
    )


def test_length_zero_ends_every_sample_at_once(model32: Model) -> None:
    pieces = list(
        Generation(
            model32, VOCAB, NOTHING, SampleConfig(length=0, num_samples=2)
        ).pieces()
    )

    assert pieces == [Piece(0, "", 0.0, "length"), Piece(1, "", 0.0, "length")]


def test_endless_text_goes_on(model32: Model) -> None:
    endless = Generation(model32, VOCAB, NOTHING, SampleConfig(length=-1)).pieces()
    first = list(islice(endless, 300))

    assert texts(first, 1) == generate(model32, SampleConfig(length=300))
    assert not any(piece.finish for piece in first)


def test_a_character_is_shown_before_the_network_reads_it(
    model32: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last character is never read at all."""
    calls = []
    logits = Model.logits

    def counted(self: Model, ids: Ids, *rest: np.ndarray) -> np.ndarray:
        calls.append(ids.size)
        return logits(self, ids, *rest)

    monkeypatch.setattr(Model, "logits", counted)
    pieces = Generation(model32, VOCAB, NOTHING, SampleConfig(length=5)).pieces()

    for shown in range(1, 6):
        assert next(pieces).text
        assert len(calls) == shown  # one of them for the virtual newline
    assert [piece.finish for piece in pieces] == ["length"]
    assert len(calls) == 5


def test_without_newline_and_prompt_the_counts_decide(new_model: NewModel) -> None:
    """The first character comes as often as in the corpus, before any input."""
    model = new_model(ModelConfig(vocab_size=6, hidden=5))
    config = SampleConfig(length=1, num_samples=400)
    first = generate(model, config, vocab=NO_NEWLINE)

    assert set(first) == {"b", "d"}
    assert 15 < first.count("d") < 70  # 40 expected, deviation 6
    state, logits = read_prompt(model, NO_NEWLINE, NOTHING)
    assert not state.any()
    np.testing.assert_allclose(np.exp(logits[0]), [0, 9, 0, 1, 0, 0], rtol=1e-6)


def test_counts_of_zero_leave_the_choice_open(model32: Model) -> None:
    """A checkpoint may hold them; the text must begin with something."""
    vocab = Vocab("abcdef", (0,) * 6)
    first = generate(model32, SampleConfig(length=1, num_samples=100), vocab=vocab)

    assert set(first) == set("abcdef")


def test_bytes_come_as_latin1(new_model: NewModel) -> None:
    """Undecodable bytes, too, each as one character."""
    vocab = Vocab("\x00\n\x80\xc3\xfe\xff", (1,) * 6, "byte")
    model = new_model(ModelConfig(vocab_size=6, hidden=5))
    (text,) = generate(model, SampleConfig(length=200, temperature=2), vocab=vocab)

    assert len(text) == 200
    assert set(text) == set(vocab.symbols)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.text("\nabcde", min_size=1, max_size=4), min_size=1, max_size=3),
    include=st.booleans(),
)
def test_text_ends_at_the_first_stop_text(
    model32: Model, stops: list[str], include: bool
) -> None:
    """It equals the text without stops, cut; the nats are those of what is shown."""
    plain = SampleConfig(length=50, num_samples=2, seed=9)
    config = SampleConfig(
        length=50, num_samples=2, seed=9, stop=tuple(stops), include_stop=include
    )
    free = list(Generation(model32, VOCAB, NOTHING, plain).pieces())
    pieces = list(Generation(model32, VOCAB, NOTHING, config).pieces())

    for sample, whole in enumerate(texts(free, 2)):
        ends = [whole.find(stop) + len(stop) for stop in stops if stop in whole]
        expected, reason = whole, "length"
        if ends:
            reason = "stop"
            longest = max(len(s) for s in stops if whole[: min(ends)].endswith(s))
            expected = whole[: min(ends) - (0 if include else longest)]
        mine = [piece for piece in pieces if piece.sample == sample]
        assert "".join(piece.text for piece in mine) == expected
        assert [piece.finish for piece in mine if piece.finish] == [reason]
        assert mine[-1].finish == reason
        singles = [p.nats for p in free if p.sample == sample][: len(expected)]
        assert sum(p.nats for p in mine) == pytest.approx(sum(singles))


def test_interrupt_lets_go_of_what_was_held_back(model32: Model) -> None:
    whole = generate(model32, SampleConfig(length=20))[0]
    never = whole + "\n\n\n\n"  # a stop text that the text keeps beginning
    config = SampleConfig(length=-1, stop=(never,), num_samples=2)
    generation = Generation(model32, VOCAB, NOTHING, config)
    pieces = generation.pieces()
    early = [next(pieces)]  # of sample 1: all of sample 0 is held back
    rest = list(generation.interrupt())

    assert [piece.sample for piece in early] == [1]
    assert [piece.finish for piece in rest] == ["interrupted"] * 2
    assert whole.startswith(rest[0].text)
    assert rest[0].text
    assert rest[0].nats > 0
    assert list(generation.interrupt()) == []


def test_interrupt_spares_samples_that_have_ended(model32: Model) -> None:
    config = SampleConfig(length=-1, stop=("a", "b", "c", "d"), num_samples=3)
    generation = Generation(model32, VOCAB, NOTHING, config)
    ended = next(piece.sample for piece in generation.pieces() if piece.finish)
    rest = [piece.sample for piece in generation.interrupt()]

    assert ended not in rest


@given(
    st.integers(1, 64),
    st.integers(1, 300),
    st.integers(1, 1024),
    st.sampled_from(["rnn", "gru", "lstm"]),
)
def test_useful_threads_grow_with_the_work(
    threads: int, samples: int, hidden: int, cell: CellName
) -> None:
    """Between 1 and those allowed; 1 for a single sample, which cannot be shared."""
    config = ModelConfig(vocab_size=100, cell=cell, hidden=hidden, layers=2)
    used = useful_threads(config, samples, threads)

    assert 1 <= used <= threads
    assert useful_threads(config, 1, threads) == 1
    assert used <= useful_threads(config, samples + 1, threads)


def test_a_large_batch_uses_all_threads() -> None:
    config = ModelConfig(vocab_size=100, hidden=256, layers=2)

    assert useful_threads(config, 512, 4) == 4


def test_a_model_of_lines_begins_every_line_from_nothing():
    vocab = Vocab("\nab", (1, 1, 1))
    model = Model(ModelConfig(vocab_size=3, hidden=8))
    initialize(model.theta, model.config, "auto", 1.0, np.random.default_rng(3))
    model.pack()

    lines = [
        read_prompt(model, vocab, vocab.encode(text), documents=True)[1]
        for text in ("ab", "bba\nab")
    ]
    running = [
        read_prompt(model, vocab, vocab.encode(text))[1] for text in ("ab", "bba\nab")
    ]

    np.testing.assert_array_equal(lines[0], lines[1])
    assert (running[0] != running[1]).any()
