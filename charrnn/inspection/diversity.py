"""The view ``diversity``: how much texts repeat themselves, and what they copy.

Of a given text, or of samples that are drawn for it. All these measures depend
on how much text there is. So a corpus, where one is given, is measured too:
as much of its beginning as there is text.
"""

import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from charrnn.config import SampleConfig, UnitName
from charrnn.counting import plural
from charrnn.errors import SOME_TEXT, CorpusError
from charrnn.inspection.blocks import (
    PICTURED,
    Block,
    Chart,
    Column,
    Facts,
    Note,
    Series,
    Table,
)
from charrnn.inspection.grams import Grams, Search, longest_repeat
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.surprise import symbols
from charrnn.inspection.view import Extent, View
from charrnn.inspection.wording import number
from charrnn.reading import Reader, options_for, read_slices, shown_name
from charrnn.vocab import CodePoints, Vocab, code_points, from_code_points

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel

#: Samples that are drawn where no text is given, and characters of each.
SAMPLES, LENGTH = 8, 2000

#: Characters of a text that are measured.
MEASURED = 1 << 18

#: Lengths of n-grams of characters and of words that are counted.
CHARACTERS = (1, 2, 3, 4, 5, 6, 8, 12, 20)
WORDS = (1, 2, 3)

#: n-grams of this length count as repeated or copied.
COPIED = 20

#: Characters of a repeated or copied span that are shown.
SPAN = 160


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many of the n-grams are different ones."""

    n: int
    total: int
    distinct: int
    share: float | None  # distinct / total; None without n-grams


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text."""

    characters: int
    text: str


@dataclass(frozen=True)
class Measures:
    """How diverse some texts are."""

    characters: int
    words: int
    character_grams: tuple[Distinct, ...]
    word_grams: tuple[Distinct, ...]
    repetition: float | None  # share of 20-grams that stood in the texts before
    longest_repeat: Span
    compression: float  # compressed size by size, in UTF-8


@dataclass(frozen=True)
class Overlap:
    """What texts have in common with a corpus."""

    files: tuple[str, ...]
    characters: int
    seen: float | None  # share of the texts' 20-grams that stand in it
    longest_copy: Span
    same_size: Measures  # of its beginning, as long as the texts


@dataclass(frozen=True)
class Diversity(ViewData):
    """Measures of some texts, and how they compare with a corpus."""

    columns = ("measure", "n", "value", "corpus")

    unit: UnitName
    source: Literal["text", "samples"]
    samples: int  # drawn, or 1 for a text
    measures: Measures
    overlap: Overlap | None

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row a number; beside it that of the corpus, if there is one."""
        own = dict(_numbers(self.measures))
        same = {} if self.overlap is None else dict(_numbers(self.overlap.same_size))
        for (name, n), value in own.items():
            yield name, n, value, same.get((name, n))
        if self.overlap is not None:
            yield "seen", COPIED, self.overlap.seen, None
            yield "longest_copy", None, self.overlap.longest_copy.characters, None


def _numbers(
    measures: Measures,
) -> Iterator[tuple[tuple[str, int | None], float | None]]:
    """List the numbers of some measures by name and length of n-gram."""
    yield ("characters", None), measures.characters
    yield ("words", None), measures.words
    for item in measures.character_grams:
        yield ("distinct_characters", item.n), item.share
    for item in measures.word_grams:
        yield ("distinct_words", item.n), item.share
    yield ("repetition", COPIED), measures.repetition
    yield ("longest_repeat", None), measures.longest_repeat.characters
    yield ("compression", None), measures.compression


def measure_diversity(
    texts: Sequence[str],
    vocab: Vocab,
    *,
    drawn: bool = False,
    corpus: Sequence[str] = (),
) -> Diversity:
    """Measure some texts, and compare them with a corpus.

    Parameters
    ----------
    texts : sequence of str
        Symbols of the vocabulary.
    drawn : bool
        Whether they are samples.
    corpus : sequence of str
        Paths of texts. Line ends are read as the vocabulary has them.

    Raises
    ------
    CorpusError
        There is no text, or the corpus is not UTF-8.
    InputError
        The corpus cannot be read.
    """
    texts = _cut(texts)
    points = [code_points(text) for text in texts]
    grams = Grams(points)
    measures = measure(texts, grams)
    if not measures.characters:
        msg = "the text is empty: nothing to compare"
        raise CorpusError(msg, hint=SOME_TEXT)
    return Diversity(
        unit=vocab.unit,
        source="samples" if drawn else "text",
        samples=len(texts),
        measures=measures,
        overlap=compare(grams, measures.characters, corpus, vocab) if corpus else None,
    )


def _cut(texts: Sequence[str]) -> list[str]:
    """Keep the beginning of what is too long."""
    return [text[: MEASURED // len(texts)] for text in texts]


def measure(texts: Sequence[str], grams: Grams) -> Measures:
    """Measure texts whose n-grams have been numbered."""
    total, distinct = grams.count(COPIED)
    length, span = longest_repeat(grams)
    words = [text.split() for text in texts]
    return Measures(
        characters=sum(map(len, texts)),
        words=sum(map(len, words)),
        character_grams=tuple(_distinct(n, *grams.count(n)) for n in CHARACTERS),
        word_grams=tuple(_distinct(n, *_count_words(words, n)) for n in WORDS),
        repetition=1 - distinct / total if total else None,
        longest_repeat=Span(length, from_code_points(span)),
        compression=compression("".join(texts)),
    )


def _distinct(n: int, total: int, distinct: int) -> Distinct:
    """Divide two counts."""
    return Distinct(n, total, distinct, distinct / total if total else None)


def _count_words(texts: Sequence[Sequence[str]], n: int) -> tuple[int, int]:
    """Count n-grams of words, and the distinct ones among them."""
    found = [
        tuple(words[a : a + n]) for words in texts for a in range(len(words) - n + 1)
    ]
    return len(found), len(set(found))


def compression(text: str) -> float:
    """Compress a text by LZMA, without the frame of a file: size by size."""
    data = text.encode("utf-8", "surrogatepass")
    lzma2 = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
    packed = lzma.compress(data, format=lzma.FORMAT_RAW, filters=lzma2)
    return len(packed) / max(1, len(data))


def compare(
    grams: Grams, characters: int, corpus: Sequence[str], vocab: Vocab
) -> Overlap:
    """Find in a corpus what texts have copied, and measure its beginning."""
    search, head = Search(grams, COPIED), _Head(characters)
    options = options_for(vocab)
    for source in corpus:
        reader = Reader(shown_name(source), options, lambda _: None)
        search.read(map(head.keep, reader.read(read_slices(source, None))))
    seen = search.finish()
    beginning = head.points()
    return Overlap(
        files=tuple(map(shown_name, corpus)),
        characters=search.characters - len(corpus),
        seen=seen,
        longest_copy=Span(search.longest, from_code_points(search.span)),
        same_size=measure([from_code_points(beginning)], Grams([beginning])),
    )


class _Head:
    """The first characters of what passes by."""

    def __init__(self, characters: int) -> None:
        self._left = characters
        self._parts = [np.zeros(0, np.uint32)]

    def keep(self, points: CodePoints) -> CodePoints:
        """Keep what is wanted of a slice, and pass it on."""
        part = points[: self._left]
        self._parts.append(part)
        self._left -= len(part)
        return points

    def points(self) -> CodePoints:
        """Join what was kept."""
        return np.concatenate(self._parts)


def draw_samples(
    model: "TextModel",
    *,
    count: int = SAMPLES,
    length: int = LENGTH,
) -> list[str]:
    """Draw samples at temperature 1, the same ones every time."""
    from charrnn.generation import Generation  # imports Numba

    config = SampleConfig(length=length, num_samples=count)
    prompts = [model.vocab.encode("")]
    generation = Generation(model, prompts, config, scored=False)
    texts = [""] * count
    for piece in generation.pieces():
        texts[piece.sample] += piece.text
    return texts


class DiversityView(View[Diversity]):
    """Counts of n-grams, repetition, and what was copied from a corpus."""

    name = "diversity"
    about = "how much samples, or a text, repeat themselves and copy a corpus"
    text = "optional"
    generates = True
    options = ("corpus", "blend")
    models = "running text"  # a sample of pairs needs an input

    def compute(self, checkpoint: "InspectedCheckpoint") -> Diversity:
        """Measure the text, or samples where none is given."""
        vocab, options = checkpoint.file.vocab, checkpoint.options
        drawn = options.text is None
        if drawn:
            texts = draw_samples(checkpoint.predictor)
        else:
            texts = [symbols(vocab, checkpoint.head(MEASURED))]
        return measure_diversity(texts, vocab, drawn=drawn, corpus=options.corpus)

    def blocks(self, data: Diversity) -> Iterator[Block]:
        """Show what repeats and what is copied, n-grams as a curve and in numbers."""
        yield Facts(list(_facts(data)), data.unit)
        name = "samples" if data.source == "samples" else "text"
        curves = [_curve(name, data.measures.character_grams)]
        if data.overlap is not None:
            same = data.overlap.same_size.character_grams
            curves.append(_curve("corpus, as much of it", same))
        axes = "characters", "share of n-grams that are different"
        yield Chart(curves, *axes, media=PICTURED)
        yield Table(_gram_columns(data), "n-grams")
        if data.overlap is not None:
            yield Note("corpus: as much of its beginning as there is text")

    def extent(self, data: Diversity, characters: int) -> Extent:
        """Count the characters that were measured."""
        return Extent(measured=data.measures.characters)


def _facts(data: Diversity) -> Iterator[tuple[str, str]]:
    """Label what was measured beside n-grams."""
    own, overlap = data.measures, data.overlap
    size = f"{plural(own.characters, 'character')}, {plural(own.words, 'word')}"
    drawn = f"{plural(data.samples, 'sample')} drawn at temperature 1, "
    yield "text", (drawn if data.source == "samples" else "") + size
    yield "compression", _beside(data, "compression")
    yield "repetition", f"{_beside(data, 'repetition')} of {COPIED}-grams"
    yield "longest repeat", _span(own.longest_repeat)
    if overlap is None:
        return
    files = ", ".join(overlap.files)
    yield "corpus", f"{plural(overlap.characters, 'character')}, {files}"
    yield "seen there", f"{number(overlap.seen, '.2%')} of {COPIED}-grams"
    yield "longest copy", _span(overlap.longest_copy)


def _beside(data: Diversity, name: str) -> str:
    """Write a share, with the corpus's own beside it."""
    share = number(getattr(data.measures, name), ".1%")
    if data.overlap is None:
        return share
    same = number(getattr(data.overlap.same_size, name), ".1%")
    return f"{share} (corpus {same})"


def _span(span: Span) -> str:
    """Show the beginning of a span, and say how long it is."""
    if not span.text:
        return "none"
    cut = "..." if span.characters > SPAN else ""
    return f"{plural(span.characters, 'character')}: {span.text[:SPAN]}{cut}"


def _curve(name: str, grams: Sequence[Distinct]) -> Series:
    """Take the shares out of counts by length."""
    return Series(name, [item.n for item in grams], [item.share for item in grams])


def _gram_columns(data: Diversity) -> list[Column]:
    """List the shares of n-grams that are different ones."""
    own = data.measures
    rows = [*own.character_grams, *own.word_grams]
    names = [plural(item.n, "character") for item in own.character_grams]
    names += [plural(item.n, "word") for item in own.word_grams]
    columns = [
        Column("n-grams of", names),
        Column("all", [f"{item.total:,}" for item in rows], "right", 2),
        Column("distinct", [f"{item.distinct:,}" for item in rows], "right", 1),
        Column("share", _shares(rows), "right"),
    ]
    if data.overlap is not None:
        same = data.overlap.same_size
        found = [*same.character_grams, *same.word_grams]
        columns.append(Column("corpus", _shares(found), "right"))
    return columns


def _shares(items: Sequence[Distinct]) -> list[str]:
    """Write the shares."""
    return [number(item.share, ".1%") for item in items]


VIEW = DiversityView()
