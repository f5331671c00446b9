"""The view ``diversity``: how much texts repeat themselves, and what they copy."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
from charrnn.inspection.view import Extent, View
from charrnn.inspection.wording import number, plural

if TYPE_CHECKING:
    from charrnn.inspection.diversity import Distinct, Diversity, Span
    from charrnn.inspection.inspected import InspectedCheckpoint

#: Characters of a repeated or copied span that are shown.
SPAN = 160


class DiversityView(View["Diversity"]):
    """Counts of n-grams, repetition, and what was copied from a corpus."""

    name = "diversity"
    about = "how much samples, or a text, repeat themselves and copy a corpus"
    text = "optional"
    generates = True
    options = ("corpus",)

    def compute(self, checkpoint: "InspectedCheckpoint") -> "Diversity":
        """Measure the text, or samples where none is given."""
        from charrnn.inspection.diversity import (
            MEASURED,
            draw_samples,
            measure_diversity,
        )
        from charrnn.inspection.surprise import symbols

        vocab, options = checkpoint.file.vocab, checkpoint.options
        drawn = options.text is None
        if drawn:
            documents = checkpoint.documents
            texts = draw_samples(checkpoint.model, vocab, documents=documents)
        else:
            texts = [symbols(vocab, checkpoint.head(MEASURED))]
        return measure_diversity(texts, vocab, drawn=drawn, corpus=options.corpus)

    def blocks(self, data: "Diversity") -> Iterator[Block]:
        """Show what repeats and what is copied, n-grams as a curve and in numbers."""
        yield Facts(list(_facts(data)), data.unit)
        name = "samples" if data.source == "samples" else "text"
        curves = [_curve(name, data.measures.character_grams)]
        if data.overlap is not None:
            same = data.overlap.same_size.character_grams
            curves.append(_curve("corpus, as much of it", same))
        axes = "characters", "share of n-grams that are different"
        yield Chart(curves, *axes, media=PICTURED)
        yield Table(_distinct(data), "n-grams")
        if data.overlap is not None:
            yield Note("corpus: as much of its beginning as there is text")

    def extent(self, data: "Diversity", characters: int) -> Extent:
        """Count the characters that were measured."""
        return Extent(measured=data.measures.characters)


VIEW = DiversityView()


def _facts(data: "Diversity") -> Iterator[tuple[str, str]]:
    """Label what was measured beside n-grams."""
    from charrnn.inspection.diversity import COPIED

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


def _beside(data: "Diversity", name: str) -> str:
    """Write a share, with the corpus's own beside it."""
    share = number(getattr(data.measures, name), ".1%")
    if data.overlap is None:
        return share
    same = number(getattr(data.overlap.same_size, name), ".1%")
    return f"{share} (corpus {same})"


def _span(span: "Span") -> str:
    """Show the beginning of a span, and say how long it is."""
    if not span.text:
        return "none"
    cut = "..." if span.characters > SPAN else ""
    return f"{plural(span.characters, 'character')}: {span.text[:SPAN]}{cut}"


def _curve(name: str, grams: "Sequence[Distinct]") -> Series:
    """Take the shares out of counts by length."""
    return Series(name, [item.n for item in grams], [item.share for item in grams])


def _distinct(data: "Diversity") -> list[Column]:
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


def _shares(items: "Sequence[Distinct]") -> list[str]:
    """Write the shares."""
    return [number(item.share, ".1%") for item in items]
