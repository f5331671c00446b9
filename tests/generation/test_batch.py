"""Generation: a sample depends on its own numbers only, and nothing is shown early."""

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import RECENT, CellName, ModelConfig, SampleConfig
from charrnn.errors import VocabError
from charrnn.generation import Generation, Piece, surprise
from charrnn.generation.sampler import PROMPT_SLICE
from charrnn.kernels.cells import CellKernels
from charrnn.kernels.generator import generator_of
from charrnn.network import Network
from charrnn.parameters import initialize
from charrnn.sampling import Randomness, distribution
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests import reference

NewNetwork = Callable[..., Network]

VOCAB = Vocab("\nabcde", (1, 2, 3, 4, 5, 6))
NO_NEWLINE = Vocab("abcdef", (0, 9, 0, 1, 0, 0))
NOTHING = np.zeros(0, np.int32)


def texts(pieces: Iterable[Piece], count: int) -> list[str]:
    """Put the pieces of each sample together."""
    out = [""] * count
    for piece in pieces:
        out[piece.sample] += piece.text
    return out


def start(
    network: Network,
    config: SampleConfig,
    prompt: Ids = NOTHING,
    vocab: Vocab = VOCAB,
    *,
    lines: bool = False,
    **options: Any,
) -> Generation:
    """Begin to continue one prompt."""
    model = TextModel.of(network, vocab, lines=lines)
    return Generation(model, [prompt], config, **options)


def generate(
    network: Network,
    config: SampleConfig,
    prompt: Ids = NOTHING,
    vocab: Vocab = VOCAB,
    **options: Any,
) -> list[str]:
    """Generate all samples to their end."""
    generation = start(network, config, prompt, vocab, **options)
    return texts(generation.pieces(), config.num_samples)


def one_at_a_time(
    network: Network,
    config: SampleConfig,
    prompt: Ids = NOTHING,
    vocab: Vocab = VOCAB,
    *,
    sample: int = 0,
    lines: bool = False,
) -> tuple[str, float]:
    """Write one sample in a plain loop: its text, and its nats.

    One step of the network, the distribution, the inverse of it; and again.
    """
    state, newline = network.new_state(1), vocab.newline_id
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([vocab.counts], np.float64)).astype(np.float32)

    def read(index: int) -> NDArray[Any]:
        resets = np.full((1, 1), lines and index == newline, np.uint8)
        window = Window.of_inputs(np.array([[index]], np.int32))
        return network.logits(window._replace(resets=resets), state)[0]

    for index in [*([] if newline is None else [newline]), *prompt.tolist()]:
        logits = read(index)
    text, nats = "", 0.0
    for u in Randomness(config.seed).take(sample, config.length):
        p = distribution(logits, config)[0]
        chosen = int(np.argmax(p.cumsum() > u))
        text += vocab.symbols[chosen]
        nats += reference.cross_entropy(logits.astype(np.float64), [chosen])[0]
        logits = read(chosen)
    return text, nats


def nats_of(pieces: Iterable[Piece], sample: int) -> float:
    """Add up what the characters of a sample cost."""
    return sum(piece.nats for piece in pieces if piece.sample == sample)


@pytest.fixture(params=["rnn", "gru", "lstm"])
def network(request: pytest.FixtureRequest, new_network: NewNetwork) -> Network:
    """Build a small network of each cell."""
    cell: CellName = request.param
    return new_network(ModelConfig(vocab_size=6, cell=cell, hidden=5, layers=2))


def test_sample_is_the_same_alone_and_in_company(network32: Network) -> None:
    """Also when others of the batch have ended, by a stop text, before it."""
    many = generate(network32, SampleConfig(length=60, num_samples=9, seed=3))
    stopped = SampleConfig(length=60, num_samples=9, seed=3, stop=("ab", "c"))

    for count in (1, 2, 5):
        few = SampleConfig(length=60, num_samples=count, seed=3)
        assert generate(network32, few) == many[:count]
    for text, whole in zip(generate(network32, stopped), many, strict=True):
        assert whole.startswith(text)
    assert len(set(many)) == 9


def test_threads_do_not_change_the_text(
    new_network: NewNetwork, tiny_config: ModelConfig
) -> None:
    networks = [new_network(tiny_config, threads=n) for n in (1, 2)]
    networks[1].load(networks[0].weights)
    config = SampleConfig(length=20, num_samples=17)

    assert generate(networks[0], config) == generate(networks[1], config)


def test_seed_decides(network32: Network) -> None:
    configs = [SampleConfig(length=40, seed=seed) for seed in (1, 1, 2)]
    one, again, other = (generate(network32, config) for config in configs)

    assert one == again != other


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 7, PROMPT_SLICE + 1, 2 * PROMPT_SLICE])
def test_text_is_that_of_a_plain_loop(
    network: Network, length: int, lines: bool
) -> None:
    """However long the prompt is, it is read as if character by character."""
    prompt = np.resize(np.array([3, 1, 4, 1, 5, 2, 0], np.int32), length)
    config = SampleConfig(length=30, num_samples=3, temperature=0.9, top_p=0.95)
    pieces = list(start(network, config, prompt, lines=lines).pieces())

    for sample, text in enumerate(texts(pieces, 3)):
        expected, nats = one_at_a_time(
            network, config, prompt, sample=sample, lines=lines
        )
        assert text == expected
        assert nats_of(pieces, sample) == pytest.approx(nats, rel=1e-4)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_text_without_a_newline_is_that_of_a_plain_loop(
    network: Network, length: int
) -> None:
    """Then nothing is read before the prompt."""
    prompt = np.resize(np.array([3, 1, 4], np.int32), length)
    config = SampleConfig(length=30, num_samples=3, seed=4)
    pieces = list(start(network, config, prompt, NO_NEWLINE).pieces())

    for sample, text in enumerate(texts(pieces, 3)):
        expected, nats = one_at_a_time(
            network, config, prompt, NO_NEWLINE, sample=sample
        )
        assert text == expected
        assert nats_of(pieces, sample) == pytest.approx(nats, rel=1e-4)


#: What seed 12 made of the prompt "dead" when characters were generated one
#: by one in Python.
GOLDEN: dict[CellName, list[str]] = {
    "rnn": [
        "deb\ndecca\ndabaebbb\nccacaaaddebeccccaab\nb",
        "\nabccc\naebaebeadccde\ndbaaeabccccc\nbabdbd",
    ],
    "gru": [
        "ccc\ncccc\n\nc\nbccccccccccccccccccccccccccc",
        "\nbbbbc\nbbbbcbcbbcbccabbc\ncbcccccc\ncccccc",
    ],
    "lstm": [
        "edcaecedaaeadeeeaeaccaaccceeecedceaaccac",
        "acccbeabbabeaeaadcde\nbad\nebbdcead\naaaeac",
    ],
}


@pytest.mark.parametrize("cell", GOLDEN)
def test_a_seed_gives_the_same_text_in_every_release(cell: CellName) -> None:
    network = Network(ModelConfig(vocab_size=6, cell=cell, hidden=16, layers=2))
    network.theta[:] = np.sin(np.arange(network.theta.size) ** 1.5)
    network.pack()
    config = SampleConfig(
        length=40,
        num_samples=2,
        seed=12,
        temperature=1.5,
        top_k=5,
        top_p=0.95,
        min_p=0.01,
    )

    assert generate(network, config, VOCAB.encode("dead")) == GOLDEN[cell]


@pytest.mark.parametrize("seconds", [0, 1e9])
@pytest.mark.parametrize("prompt_slice", [1, 3])
def test_slices_do_not_change_the_text(
    network: Network, monkeypatch: pytest.MonkeyPatch, seconds: float, prompt_slice: int
) -> None:
    """Neither do those of the prompt: always one step, or ever more of them."""
    prompt = VOCAB.encode("dead\nbed")
    configs = [
        SampleConfig(length=70, num_samples=5, seed=2),
        SampleConfig(length=70, num_samples=5, seed=2, stop=("ab", "c\n", "ee")),
        SampleConfig(length=70, num_samples=5, seed=2, no_repeat=3),
    ]
    before = [generate(network, config, prompt, lines=True) for config in configs]
    monkeypatch.setattr("charrnn.generation.batch.SLICE_SECONDS", seconds)
    monkeypatch.setattr("charrnn.generation.sampler.PROMPT_SLICE", prompt_slice)

    for config, expected in zip(configs, before, strict=True):
        assert generate(network, config, prompt, lines=True) == expected
    assert len({text for expected in before for text in expected}) == 15


class Counted:
    """Counts the steps of every call of the kernel, and the logits it keeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.steps: list[int] = []
        self.kept: list[int] = []
        self._kernel: Callable[..., bool] | None = None
        monkeypatch.setattr("charrnn.generation.sampler.generator_of", self._of)
        monkeypatch.setattr("charrnn.generation.batch.SLICE_SECONDS", seconds)

    def __call__(self, *arguments: Any) -> bool:
        u, logits = arguments[5], arguments[9]
        self.steps.append(len(u))
        self.kept.append(len(logits))
        assert self._kernel is not None
        return self._kernel(*arguments)

    def _of(self, kernels: CellKernels) -> "Counted":
        self._kernel = generator_of(kernels)
        return self


def test_the_first_piece_comes_after_one_step(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then slices grow while they take little time; none goes beyond the end."""
    calls = Counted(monkeypatch, seconds=1e9)
    pieces = start(network32, SampleConfig(length=100)).pieces()

    assert len(next(pieces).text) == 1
    assert calls.steps == [1]
    assert [len(piece.text) for piece in pieces] == [2, 4, 8, 16, 32, 37]
    # One of them for the virtual newline: the last character is never read.
    assert calls.steps == [1, 2, 4, 8, 16, 32, 37]


def test_slices_that_take_long_stay_short(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the prompt is read before the first of them, but for its last character."""
    calls = Counted(monkeypatch, seconds=0)
    prompt = np.ones(PROMPT_SLICE + 9, np.int32)
    pieces = start(network32, SampleConfig(length=5), prompt).pieces()

    assert [piece.finish for piece in pieces] == [None] * 4 + ["length"]
    assert calls.steps == [PROMPT_SLICE, 9, *[1] * 5]


def test_who_shows_nothing_meanwhile_may_take_longer_slices(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is the same; where it is cut is not."""
    calls = Counted(monkeypatch, seconds=0)
    config = SampleConfig(length=20)
    short = start(network32, config).pieces()
    long = start(network32, config, slice_seconds=1e9).pieces()

    assert "".join(p.text for p in short) == "".join(p.text for p in long)
    assert calls.steps == [1] * 20 + [1, 2, 4, 8, 5]


def test_slices_that_begin_to_take_long_become_short_again(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another process takes up the processor."""
    calls = Counted(monkeypatch, seconds=1e9)
    pieces = start(network32, SampleConfig(length=100)).pieces()

    assert [len(next(pieces).text) for _ in range(4)] == [1, 2, 4, 8]
    monkeypatch.setattr("charrnn.generation.batch.SLICE_SECONDS", 0)
    assert [len(next(pieces).text) for _ in range(4)] == [4, 2, 1, 1]
    assert calls.steps == [1, 2, 4, 8, 4, 2, 1, 1]


def test_what_is_kept_of_a_slice_is_bounded(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of 6 characters for 4 samples, if they are wanted."""
    monkeypatch.setattr("charrnn.generation.batch.KEPT", 75)
    config = SampleConfig(length=60, num_samples=4)
    expected = [one_at_a_time(network32, config, sample=n)[0] for n in range(4)]

    for scored, longest in ((True, 75 // (6 * 4)), (False, 75 // 4)):
        calls = Counted(monkeypatch, seconds=1e9)
        assert generate(network32, config, scored=scored) == expected
        assert max(calls.steps) == longest
        assert calls.kept == (calls.steps if scored else [1] * len(calls.steps))


def test_greedy_takes_no_random_numbers(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Randomness, sample: int, count: int) -> None:
        raise AssertionError

    monkeypatch.setattr(Randomness, "take", refuse)

    for vocab in (VOCAB, NO_NEWLINE):
        for temperature in (0.0, 9.9e-5):
            config = SampleConfig(length=20, temperature=temperature)
            (text,) = generate(network32, config, vocab=vocab)
            assert len(text) == 20
    with pytest.raises(AssertionError):
        generate(network32, SampleConfig(length=20, temperature=1.1e-4))


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_network_that_overflows_is_refused(network: Network, broken: float) -> None:
    """With a prompt or without, at whatever temperature, in any thread."""
    network.weights["head.by"][2] = broken
    network.pack()

    for temperature in (0.0, 1.0):
        config = SampleConfig(length=5, num_samples=9, temperature=temperature)
        for prompt in (NOTHING, VOCAB.encode("dead")):
            for network.threads in (1, 2):
                with pytest.raises(VocabError, match="not finite"):
                    generate(network, config, prompt)


def test_n_grams_of_prompt_and_text_do_not_come_again(network: Network) -> None:
    """As long as there is any other character, in the last 2000."""
    prompt, config = VOCAB.encode("abcde"), SampleConfig(length=300, no_repeat=4)
    (text,) = generate(network, config, prompt)
    whole, grams = "abcde" + text, set()

    for end in range(4, len(whole) + 1):
        gram = whole[end - 4 : end]
        if gram in grams:
            assert all(gram[:-1] + symbol in grams for symbol in VOCAB.symbols)
        grams.add(gram)
    plain = SampleConfig(length=300)
    assert generate(network, plain, prompt) != [text]


@pytest.mark.parametrize(("further", "expected"), [(0, "b"), (1, "a")])
def test_n_grams_are_looked_for_in_the_last_2000(further: int, expected: str) -> None:
    """What was said before may be said again."""
    network = Network(ModelConfig(vocab_size=6, hidden=2))
    network.weights["head.by"][:] = 0, 5, 4, 3, 2, 1  # a is the likeliest, then b
    network.pack()
    config = SampleConfig(length=1, temperature=0, no_repeat=2)
    prompt = "ca" + "d" * (RECENT - 3 + further) + "c"

    assert RECENT == 2000
    assert generate(network, config, VOCAB.encode(prompt)) == [expected]


def test_prompts_side_by_side_are_as_if_alone(network: Network) -> None:
    """Of whatever lengths; what comes out differs by the random numbers alone."""
    prompts = [VOCAB.encode(text) for text in ("dead", "", "b", "deadbeef"[:6] * 9)]
    config = SampleConfig(length=40, temperature=0)
    generation = Generation(TextModel.of(network, VOCAB), prompts, config)

    alone = [generate(network, config, prompt)[0] for prompt in prompts]
    assert texts(generation.pieces(), 4) == alone
    warm = SampleConfig(length=40, num_samples=3, seed=5)
    pieces = list(Generation(TextModel.of(network, VOCAB), prompts, warm).pieces())
    many = texts(pieces, 12)
    assert many[:3] == generate(network, warm, prompts[0])
    for number, text in enumerate(many):
        prompt = prompts[number // 3]
        expected, nats = one_at_a_time(network, warm, prompt, sample=number)
        assert text == expected
        assert nats_of(pieces, number) == pytest.approx(nats, rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"no_repeat": 2}], ids=["plain", "n-grams"])
def test_a_prompt_in_slices_is_the_same_prompt(
    network32: Network, settings: dict[str, Any]
) -> None:
    prompt = VOCAB.encode("dead\nbed\nbad\ncad\n" * 3)
    config = SampleConfig(length=40, num_samples=2, **settings)
    whole = generate(network32, config, prompt)

    for cuts in ([], [1], [7], [5, 5, 6, 30], [prompt.size - 1], [0, prompt.size]):
        *lead, last = np.split(prompt, cuts)
        assert generate(network32, config, last, lead=lead) == whole


def test_greedy_text_continues_itself(network: Network) -> None:
    """Prompted with the beginning of what it wrote, a network writes the rest."""
    config = SampleConfig(length=40, temperature=0)
    (whole,) = generate(network, config)
    rest = SampleConfig(length=15, temperature=0)

    assert generate(network, rest, VOCAB.encode(whole[:25])) == [whole[25:]]


def test_nats_are_the_loss_of_the_text(network: Network) -> None:
    """Whatever the filters were: it is the network's own opinion."""
    prompt = VOCAB.encode("dead")
    config = SampleConfig(length=50, num_samples=2, temperature=0.5, top_k=3)
    pieces = list(start(network, config, prompt).pieces())

    for sample, text in enumerate(texts(pieces, 2)):
        read = np.concatenate([[0], prompt, VOCAB.encode(text)]).astype(np.int32)
        targets = read[1:, None].copy()
        targets[: len(prompt)] = -1
        window = Window.of_inputs(read[:-1, None])._replace(targets=targets)
        losses = network.losses(window, network.new_state(1))
        assert nats_of(pieces, sample) == pytest.approx(losses.sum(), rel=1e-5)


def test_unscored_pieces_have_the_same_text(network32: Network) -> None:
    config = SampleConfig(length=30, num_samples=3)
    pieces = list(start(network32, config, scored=False).pieces())

    assert texts(pieces, 3) == generate(network32, config)
    assert not any(piece.nats for piece in pieces)


def test_surprise_is_minus_log_of_the_softmax() -> None:
    logits = np.array([[0.0, math.log(3), -np.inf], [800.0, 0.0, 800.0]], np.float32)

    np.testing.assert_allclose(
        surprise(logits, np.array([1, 2], np.int32)), [math.log(4 / 3), math.log(2)]
    )


def test_length_zero_ends_every_sample_at_once(network32: Network) -> None:
    pieces = start(network32, SampleConfig(length=0, num_samples=2)).pieces()

    assert list(pieces) == [Piece(0, "", 0.0, "length"), Piece(1, "", 0.0, "length")]


def test_endless_text_goes_on(network32: Network) -> None:
    endless = start(network32, SampleConfig(length=-1)).pieces()
    shown: list[Piece] = []
    while sum(len(piece.text) for piece in shown) < 300:
        shown += islice(endless, 1)

    assert texts(shown, 1)[0][:300] == generate(network32, SampleConfig(length=300))[0]
    assert not any(piece.finish for piece in shown)


def test_without_newline_and_prompt_the_counts_decide(new_network: NewNetwork) -> None:
    """The first character comes as often as in the corpus, before any input."""
    network = new_network(ModelConfig(vocab_size=6, hidden=5))
    config = SampleConfig(length=1, num_samples=400)
    first = generate(network, config, vocab=NO_NEWLINE)

    assert set(first) == {"b", "d"}
    assert 15 < first.count("d") < 70  # 40 expected, deviation 6
    pieces = list(start(network, config, vocab=NO_NEWLINE).pieces())
    for piece in pieces:
        share = {"b": 0.9, "d": 0.1}[piece.text]
        assert piece.nats == pytest.approx(-math.log(share), rel=1e-6)


def test_counts_of_zero_leave_the_choice_open(network32: Network) -> None:
    """A checkpoint may hold them; the text must begin with something."""
    vocab = Vocab("abcdef", (0,) * 6)
    first = generate(network32, SampleConfig(length=1, num_samples=100), vocab=vocab)

    assert set(first) == set("abcdef")


def test_bytes_come_as_latin1(new_network: NewNetwork) -> None:
    """Undecodable bytes, too, each as one character."""
    vocab = Vocab("\x00\n\x80\xc3\xfe\xff", (1,) * 6, "byte")
    network = new_network(ModelConfig(vocab_size=6, hidden=5))
    (text,) = generate(network, SampleConfig(length=200, temperature=2), vocab=vocab)

    assert len(text) == 200
    assert set(text) == set(vocab.symbols)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.text("\nabcde", min_size=1, max_size=4), min_size=1, max_size=3),
    include=st.booleans(),
)
def test_text_ends_at_the_first_stop_text(
    network32: Network, stops: list[str], include: bool
) -> None:
    """It equals the text without stops, cut; the nats are those of what is shown."""
    plain = SampleConfig(length=50, num_samples=2, seed=9)
    config = SampleConfig(
        length=50, num_samples=2, seed=9, stop=tuple(stops), include_stop=include
    )
    free = list(start(network32, plain).pieces())
    pieces = list(start(network32, config).pieces())

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
        cut = SampleConfig(length=len(expected), num_samples=2, seed=9)
        alone = start(network32, cut).pieces()
        assert nats_of(mine, sample) == pytest.approx(nats_of(alone, sample))


def test_interrupt_lets_go_of_what_was_held_back(network32: Network) -> None:
    whole = generate(network32, SampleConfig(length=20))[0]
    never = whole + "\n\n\n\n"  # a stop text that the text keeps beginning
    config = SampleConfig(length=-1, stop=(never,), num_samples=2)
    generation = start(network32, config)
    pieces = generation.pieces()
    early = [next(pieces)]  # of sample 1: all of sample 0 is held back
    rest = list(generation.interrupt())

    assert [piece.sample for piece in early] == [1]
    assert [piece.finish for piece in rest] == ["interrupted"] * 2
    assert whole.startswith(rest[0].text)
    assert rest[0].text
    assert rest[0].nats > 0
    assert list(generation.interrupt()) == []


def test_interrupt_spares_samples_that_have_ended(network32: Network) -> None:
    config = SampleConfig(length=-1, stop=("a", "b", "c", "d"), num_samples=3)
    generation = start(network32, config)
    ended = next(piece.sample for piece in generation.pieces() if piece.finish)
    rest = [piece.sample for piece in generation.interrupt()]

    assert ended not in rest


def test_a_model_of_lines_begins_every_line_from_nothing() -> None:
    """What it writes after a line depends on that line alone."""
    vocab = Vocab("\nab", (1, 1, 1))
    network = Network(ModelConfig(vocab_size=3, hidden=8))
    initialize(network.theta, network.config, "auto", 1.0, np.random.default_rng(3))
    network.pack()
    config = SampleConfig(length=60, seed=3)

    lines, running = (
        [
            list(start(network, config, vocab.encode(text), vocab, **options).pieces())
            for text in ("ab", "bba\nab")
        ]
        for options in ({"lines": True}, {})
    )

    assert texts(lines[0], 1) == texts(lines[1], 1)
    assert nats_of(lines[0], 0) == nats_of(lines[1], 0)
    assert nats_of(running[0], 0) != nats_of(running[1], 0)


def test_totals_do_not_depend_on_the_slices(
    network32: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, as the text itself: they are told as figures of the sample."""
    config = SampleConfig(length=300, num_samples=3, seed=4)
    found = []
    for seconds in (0.0, 10.0):
        monkeypatch.setattr("charrnn.generation.batch.SLICE_SECONDS", seconds)
        pieces = Generation(TextModel.of(network32, VOCAB), [NOTHING], config).pieces()
        found.append({p.sample: p.total for p in pieces if p.finish is not None})

    assert found[0] == found[1]
    assert all(total > 0 for total in found[0].values())
