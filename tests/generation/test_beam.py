"""The search for the likeliest text: held against trying all of them, and greed."""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, product

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.config import CellName, ModelConfig, SampleConfig
from charrnn.errors import VocabError
from charrnn.generation import Generation
from charrnn.generation.beam import ROWS, Beam, Search
from charrnn.memory import Memory
from charrnn.network import Network
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab

NewNetwork = Callable[..., Network]

VOCAB = Vocab("\t\nabc", (4, 4, 3, 3, 3))
END = 1

#: Inputs with what parts them from outputs.
PROMPTS = [VOCAB.encode(text + "\t") for text in ("a", "abc", "cc", "b", "bacab")]


def model_of(network: Network, share: float | None = None) -> TextModel:
    """Make a model of lines, with a memory if that has a share."""
    model = TextModel.of(network, VOCAB, lines=True)
    if share is None:
        return model
    text = "abc\tcba\ncc\tcc\nb\tb\nba\tab\nbacab\tbacab\n" * 3
    memory = Memory(
        ids=VOCAB.encode(text).astype(np.uint8), order=4, share=1 - share,
        vocab_size=VOCAB.size, before=END, newline=END,
    )  # fmt: skip
    return replace(model, memory=memory)


@pytest.fixture(params=[("rnn", None), ("gru", 0.5), ("lstm", None), ("lstm", 0.3)])
def model(request: pytest.FixtureRequest, new_network: NewNetwork) -> TextModel:
    """Make models of every cell, of a network alone and of one with n-grams."""
    cell: CellName = request.param[0]
    config = ModelConfig(vocab_size=VOCAB.size, cell=cell, hidden=5, layers=2)
    return model_of(new_network(config), request.param[1])


def search(
    model: TextModel, width: int, *, length: int = 12, ban: str = ""
) -> Callable[[list[Ids]], list[list[Beam]]]:
    """Set a search up."""
    config = SampleConfig(length=length, ban=ban, beam=width)
    return lambda prompts: list(Search(model, prompts, config).found())


def greedy(model: TextModel, prompts: list[Ids], length: int = 12) -> list[str]:
    """Take the likeliest character at every step, up to the end of a line."""
    config = SampleConfig(length=length, lines=1, temperature=0)
    texts = [""] * len(prompts)
    for piece in Generation(model, prompts, config).pieces():
        texts[piece.sample] += piece.text
    return texts


def nats_of(model: TextModel, prompt: Ids, text: tuple[int, ...]) -> float:
    """Score a text behind a prompt, another way than the search does."""
    ids = np.array([*prompt, *text], np.int32)
    costs = np.concatenate([part.nats for part in model.costs([ids])])
    return float(costs[len(prompt) :].sum())


def assert_near(found: float, expected: float) -> None:
    """Hold a sum of costs against one by float32 or float64 elsewhere."""
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_one_beam_is_the_greedy_choice(model: TextModel) -> None:
    found = search(model, 1)(PROMPTS)

    texts = ["".join(VOCAB.symbols[i] for i in beam.ids) for (beam,) in found]
    assert texts == greedy(model, PROMPTS)
    assert len(set(texts)) > 1  # they depend on the prompts


@pytest.mark.parametrize("width", [2, 3, 7, 32])
def test_nothing_found_is_less_likely_than_the_greedy_choice(
    model: TextModel, width: int
) -> None:
    """A text that is cut off is held against those alone that are cut off, too."""
    for length in (3, 12):
        alone = search(model, 1, length=length)(PROMPTS)
        for beams, (single,) in zip(
            search(model, width, length=length)(PROMPTS), alone, strict=True
        ):
            assert beams[0].ended >= single.ended
            if beams[0].ended == single.ended:
                assert beams[0].nats <= single.nats


@pytest.mark.parametrize("width", [7, 20])
def test_what_is_cut_off_stands_behind_what_has_ended(
    model: TextModel, width: int
) -> None:
    """However likely it is."""
    found = search(model, width, length=2)(PROMPTS)
    ended = [[beam.ended for beam in beams] for beams in found]

    assert ended == [sorted(each, reverse=True) for each in ended]
    assert {True, False} <= {each for some in ended for each in some}


def all_texts(model: TextModel, prompt: Ids) -> list[float]:
    """Score all texts of at most two characters; those of two may go on."""
    others = [0, *range(2, VOCAB.size)]
    whole = [(END,), *product(others, (END,))]
    begun = product(others, others)
    found = (sorted(nats_of(model, prompt, t) for t in some) for some in (whole, begun))
    return list(chain.from_iterable(found))


def test_with_beams_for_all_the_likeliest_of_all_are_found(model: TextModel) -> None:
    """Each of 21 texts is tried; the whole ones first, each in the order of cost."""
    for prompt, beams in zip(
        PROMPTS, search(model, 32, length=2)(PROMPTS), strict=True
    ):
        expected = all_texts(model, prompt)
        assert len(beams) == len(expected) == 21
        for beam, nats in zip(beams, expected, strict=True):
            assert_near(beam.nats, nats)


def test_beams_cost_what_the_model_says(model: TextModel) -> None:
    """In order, each of them once, with the end where there is one."""
    for prompt, beams in zip(PROMPTS, search(model, 6)(PROMPTS), strict=True):
        assert len(beams) == len({beam.ids for beam in beams}) == 6
        assert beams == sorted(beams, key=lambda beam: (not beam.ended, beam.nats))
        for beam in beams:
            assert_near(beam.nats, nats_of(model, prompt, beam.ids))
            assert beam.ended == (beam.ids[-1] == END)
            assert END not in beam.ids[:-1]


def test_a_search_is_the_same_alone_and_in_company(model: TextModel) -> None:
    """Prompts of other lengths, and more of them than one batch has."""
    run = search(model, 4)
    many = PROMPTS * ROWS
    found = run(many)

    for prompt, beams in zip(PROMPTS, found, strict=False):
        assert run([prompt])[0] == beams
    assert found == found[: len(PROMPTS)] * ROWS


def test_threads_change_nothing(model: TextModel) -> None:
    prompts = PROMPTS * 40
    expected = search(model, 5)(prompts)

    model.network.threads = 3
    assert search(model, 5)(prompts) == expected


def test_what_is_banned_is_in_no_beam(model: TextModel) -> None:
    """And what the others cost is what the model itself says of them."""
    for prompt, beams in zip(PROMPTS, search(model, 5, ban="ab")(PROMPTS), strict=True):
        assert {i for beam in beams for i in beam.ids} <= {0, END, 4}
        assert_near(beams[0].nats, nats_of(model, prompt, beams[0].ids))


def test_nothing_is_written_where_nothing_is_asked_for(model: TextModel) -> None:
    (beams,) = search(model, 3, length=0)([PROMPTS[0]])

    assert beams == [Beam((), 0.0, greedy=True)]


def test_a_model_that_counts_what_it_reads(new_network: NewNetwork) -> None:
    """Each prompt is counted for itself alone."""
    config = ModelConfig(vocab_size=VOCAB.size, hidden=5)
    model = model_of(new_network(config), 0.6).blended(adapt=True)

    beams = search(model, 1)(PROMPTS)
    texts = ["".join(VOCAB.symbols[i] for i in beam.ids) for (beam,) in beams]
    assert texts == greedy(model, PROMPTS)
    assert search(model, 1)(PROMPTS[::-1]) == beams[::-1]


def test_weights_that_are_no_numbers(new_network: NewNetwork) -> None:
    network = new_network(ModelConfig(vocab_size=VOCAB.size, hidden=5))
    network.theta[:] = np.nan
    network.pack()

    with pytest.raises(VocabError):
        search(model_of(network), 2)(PROMPTS)


def total(beams: list[list[Beam]]) -> NDArray[np.float64]:
    """Collect what the likeliest texts cost."""
    return np.array([found[0].nats for found in beams])


def test_greed_misses_something(model: TextModel) -> None:
    """Or a search would be of no use."""
    alone, wide = total(search(model, 1)(PROMPTS)), total(search(model, 16)(PROMPTS))

    assert (wide <= alone).all()
    assert wide.sum() < alone.sum() - 1e-3


@pytest.mark.parametrize("ban", ["", "\n"])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_the_likeliest_alone_is_the_first_of_all(
    model: TextModel, width: int, ban: str
) -> None:
    """It may be known before the others are, and is the same."""
    config = SampleConfig(length=8, beam=width, ban=ban)
    every = list(Search(model, PROMPTS, config).found())
    alone = list(Search(model, PROMPTS, config, listed=False).found())

    assert alone == [beams[:1] for beams in every]


@pytest.mark.parametrize(("ban", "finish"), [("", "lines"), ("\n", "length")])
def test_pieces_are_the_likeliest_texts_without_their_ends(
    model: TextModel, ban: str, finish: str
) -> None:
    """One for each prompt in turn, with all the beams and what they cost."""
    config = SampleConfig(length=4, beam=5, ban=ban)
    found = list(Search(model, PROMPTS, config).found())
    pieces = list(Search(model, PROMPTS, config).pieces())

    assert [piece.sample for piece in pieces] == list(range(len(PROMPTS)))
    assert {piece.finish for piece in pieces} == {finish}
    for piece, beams in zip(pieces, found, strict=True):
        symbols = ["".join(VOCAB.symbols[i] for i in beam.ids) for beam in beams]
        assert [text for text, _ in piece.beams] == [s.rstrip("\n") for s in symbols]
        assert [nats for _, nats in piece.beams] == [beam.nats for beam in beams]
        assert (piece.text, piece.total) == piece.beams[0]


def test_a_search_can_be_left(model: TextModel) -> None:
    """What has not been found ends with nothing."""
    search = Search(model, PROMPTS, SampleConfig(length=4, beam=2))
    pieces = search.pieces()
    done = [next(pieces), next(pieces)]
    rest = list(search.interrupt())

    assert [piece.sample for piece in done + rest] == list(range(len(PROMPTS)))
    assert {(piece.text, piece.finish) for piece in rest} == {("", "interrupted")}


def test_running_text_has_no_end_to_search_for(new_network: NewNetwork) -> None:
    """Nor is there a search without beams."""
    network = new_network(ModelConfig(vocab_size=VOCAB.size, hidden=5))

    with pytest.raises(ValueError, match="a search is for texts that end"):
        Search(TextModel.of(network, VOCAB), PROMPTS, SampleConfig(beam=2))
    with pytest.raises(ValueError, match="a search is for texts that end"):
        Search(model_of(network), PROMPTS, SampleConfig())
