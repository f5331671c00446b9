"""The view ``errors``: pairs that come out wrong, and what is taken for what.

The likeliest output of every input in a text of pairs is written as an evaluation
writes it, and compared with the right one that is nearest. Where both are of one
length, their characters are compared place by place; where there are so few
different outputs that they are classes, outputs are compared as wholes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from charrnn.arrays import Ids
from charrnn.config import UnitName
from charrnn.counting import plural
from charrnn.errors import CorpusError, OptionError, field
from charrnn.escapes import table_cell
from charrnn.inspection.blocks import (
    PAGE,
    STILL,
    Bars,
    Block,
    Column,
    Facts,
    Heading,
    Note,
    Table,
)
from charrnn.inspection.records import Cell, ViewData
from charrnn.inspection.surprise import LISTED, symbols
from charrnn.inspection.view import SHOWN, Extent, View
from charrnn.pairs import Pairs, edit_distance, split_pairs
from charrnn.vocab import REPLACEMENT, from_code_points

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.textmodel import TextModel
    from charrnn.vocab import Vocab

#: Different outputs, at most, that are taken for classes.
CLASSES = 50

#: Confusions of characters that are shown where nothing scrolls.
CONFUSED = 20

#: Cells of the longest bar.
BAR = 20


@dataclass(frozen=True, slots=True)
class Wrong:
    """An input whose output is not right."""

    input: str
    wanted: tuple[str, ...]  # the right outputs, the nearest first
    got: str
    distance: int  # edits from the nearest right output


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one character was written in another's place."""

    wanted: str
    got: str
    count: int
    share: float  # of the places where the first was wanted


@dataclass(frozen=True)
class Classes:
    """What outputs were written for which, as wholes."""

    outputs: tuple[str, ...]  # the right ones, in the order of the alphabet
    #: How often each was written (columns) where another was wanted (rows).
    counts: tuple[tuple[int, ...], ...]
    others: tuple[int, ...]  # how often something was written that is no right output


@dataclass(frozen=True)
class Errors(ViewData):
    """How many outputs are wrong, which, and how."""

    columns = ("input", "wanted", "got", "distance")

    unit: UnitName
    inputs: int  # different ones
    wrong: int
    exact: float  # share of the inputs whose output is right
    error_rate: float  # edits per character of the right outputs
    errors: tuple[Wrong, ...]  # the most edits first, as many as were asked for
    aligned: int  # outputs that are as long as the right one
    confusions: tuple[Confusion, ...]  # in those, the most frequent first
    classes: Classes | None  # None: there are too many different outputs

    def rows(self) -> Iterable[tuple[Cell, ...]]:
        """Give a row an input; of several right outputs, the nearest."""
        for item in self.errors:
            texts = (item.input, item.wanted[0], item.got)
            yield *(table_cell(text, self.unit) for text in texts), item.distance


@dataclass(frozen=True, eq=False)
class _Compared:
    """One output beside the right ones."""

    given: Ids
    wanted: tuple[Ids, ...]  # the nearest first
    got: Ids
    distance: int


def measure_errors(
    model: "TextModel", pairs: Pairs, *, keep: int | None = None
) -> Errors:
    """Write the outputs of inputs, and list what is wrong with them.

    Parameters
    ----------
    model : TextModel
        Of pairs.
    keep : int, optional
        How many characters of wrong pairs to list, and the pair that goes beyond; all
        if not given.

    Raises
    ------
    CorpusError
        There is no pair.
    """
    outputs = model.outputs(pairs)
    accuracy = pairs.accuracy(outputs)
    if accuracy is None:
        msg = "there is no pair in the text"
        raise CorpusError(msg, hint="give a line: an input, a tab, an output")
    found = [
        _compared(*each)
        for each in zip(pairs.inputs, pairs.outputs, outputs, strict=True)
    ]
    wrong = sorted((each for each in found if each.distance), key=_fewest_last)
    aligned = [each for each in found if len(each.got) == len(each.wanted[0])]
    vocab = model.vocab
    return Errors(
        unit=vocab.unit,
        inputs=len(pairs),
        wrong=len(wrong),
        exact=accuracy.exact,
        error_rate=accuracy.error_rate,
        errors=tuple(_written(each, vocab) for each in _kept(wrong, keep)),
        aligned=len(aligned),
        confusions=tuple(_confusions(aligned, vocab)),
        classes=_classes(found, vocab),
    )


def _compared(given: Ids, wanted: Sequence[Ids], got: Ids) -> _Compared:
    """Order the right outputs of an input by how near they are to what was written."""
    near = [(edit_distance(got.tolist(), one.tolist()), one) for one in wanted]
    near.sort(key=lambda pair: (pair[0], len(pair[1])))
    return _Compared(given, tuple(one for _, one in near), got, near[0][0])


def _fewest_last(item: _Compared) -> int:
    """Order by edits."""
    return -item.distance


def _kept(wrong: Sequence[_Compared], keep: int | None) -> Sequence[_Compared]:
    """Take the first ones, until their characters are as many as wanted."""
    if keep is None:
        return wrong
    sizes = (len(w.given) + len(w.wanted[0]) + len(w.got) for w in wrong)
    before = (total for total in accumulate(sizes, initial=0))
    return [each for each, read in zip(wrong, before, strict=False) if read < keep]


def _shown(vocab: "Vocab", ids: Ids) -> str:
    """Write a right output in symbols, with U+FFFD for what the model cannot know."""
    points = np.append(vocab.points, np.uint32(ord(REPLACEMENT)))
    return from_code_points(points[ids])  # -1 is the last


def _written(item: _Compared, vocab: "Vocab") -> Wrong:
    """Write a pair in symbols."""
    wanted = tuple(_shown(vocab, one) for one in item.wanted)
    given, got = symbols(vocab, item.given), symbols(vocab, item.got)
    return Wrong(given, wanted, got, item.distance)


def _confusions(aligned: Sequence[_Compared], vocab: "Vocab") -> Iterator[Confusion]:
    """Count what stands in whose place, in outputs as long as the right ones."""
    totals: Counter[str] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for item in aligned:
        wanted = _shown(vocab, item.wanted[0])
        totals.update(wanted)
        if item.distance:
            places = zip(wanted, symbols(vocab, item.got), strict=True)
            found.update((one, other) for one, other in places if one != other)
    for (one, other), count in sorted(found.items(), key=lambda f: (-f[1], f[0])):
        yield Confusion(one, other, count, count / totals[one])


def _classes(found: Sequence[_Compared], vocab: "Vocab") -> Classes | None:
    """Count whole outputs by the right ones, if these are few and come again."""
    wanted = [_shown(vocab, item.wanted[0]) for item in found]
    known = sorted(set(wanted))
    if len(known) > CLASSES or len(known) == len(wanted):
        return None
    places = {output: n for n, output in enumerate(known)}
    counts = [[0] * len(known) for _ in known]
    others = [0] * len(known)
    for item, output in zip(found, wanted, strict=True):
        got = places.get(symbols(vocab, item.got))
        if got is None:
            others[places[output]] += 1
        else:
            counts[places[output]][got] += 1
    return Classes(tuple(known), tuple(map(tuple, counts)), tuple(others))


class ErrorsView(View[Errors]):
    """Totals, the pairs that come out wrong, and what is taken for what."""

    name = "errors"
    about = "pairs that come out wrong, and which characters are taken for which"
    text = "required"
    decodes = True
    models = "pairs"
    options = ("max_chars", "held_out", "blend")
    page = 5

    def check(self, checkpoint: "InspectedCheckpoint") -> None:
        """Refuse to tell what was held out where that is not known."""
        run = checkpoint.file.training
        # Of a text that is too short, nothing is held out, whatever share was wanted.
        evaluated = run is not None and run.best_val_loss is not None
        if not checkpoint.options.held_out or (
            run is not None and run.config.val_fraction and evaluated
        ):
            return
        name = field("held_out")
        msg = f"{name}: this checkpoint does not know which pairs were held out"
        hint = f"leave {name} away, and give those pairs as the text"
        raise OptionError(msg, where=str(checkpoint.file.path), hint=hint)

    def compute(self, checkpoint: "InspectedCheckpoint") -> Errors:
        """Write the outputs of the text's inputs, and compare them."""
        options = checkpoint.options
        keep = options.limit(SHOWN if options.drawn else LISTED)
        if options.rows_only:
            keep = options.max_chars or None
        vocab, ids = checkpoint.file.vocab, checkpoint.pairs()
        run = checkpoint.file.training
        if options.held_out and run is not None:
            share = run.config.val_fraction
            _, ids = split_pairs(ids, checkpoint.model.documents, vocab, share)
            if not ids.size:
                msg = "no pair of the text was held out of training"
                hint = f"leave {field('held_out')} away to see all of its pairs"
                raise CorpusError(msg, where=checkpoint.text.name, hint=hint)
        pairs = Pairs.of(ids, vocab)
        return measure_errors(checkpoint.predictor, pairs, keep=keep)

    def blocks(self, data: Errors) -> Iterator[Block]:
        """Show totals, wrong pairs, and both kinds of confusion."""
        yield Facts(list(_totals(data)))
        if not data.wrong:
            return
        yield Heading("pairs that come out wrong", "the most edits first")
        yield Table(_wrong_columns(data), "pairs that come out wrong", data.unit)
        if data.classes is not None:
            yield Heading(
                "outputs written for others", "right ones down, written across"
            )
            name = "outputs written for others"
            yield Table(_class_columns(data.classes), name, data.unit)
        if not data.confusions:
            return
        where = f"in {plural(data.aligned, 'output')} as long as the right one"
        yield Heading("characters taken for others", where)
        name = "characters taken for others"
        few, rest = data.confusions[:CONFUSED], len(data.confusions) - CONFUSED
        yield Table(_confusion_columns(few), name, data.unit, media=STILL)
        if rest > 0:
            yield Note(f"and {plural(rest, 'confusion')} more, rarer", media=STILL)
        yield Table(_confusion_columns(data.confusions), name, data.unit, media=PAGE)

    def extent(self, data: Errors, characters: int) -> Extent:
        """Count the wrong pairs that are listed."""
        called = "pairs that come out wrong"
        return Extent(len(data.errors), total=data.wrong, called=called)


def _totals(data: Errors) -> Iterator[tuple[str, str]]:
    """Label the totals."""
    yield "inputs", f"{data.inputs:,}"
    yield "exact", f"{data.exact:.2%}, {data.wrong:,} wrong"
    yield "error rate", f"{data.error_rate:.2%}: edits per character of right outputs"


def _wrong_columns(data: Errors) -> list[Column]:
    """List wrong pairs: input, the nearest right output, what was written, edits."""
    errors = data.errors
    columns = [
        Column("input", [item.input for item in errors], shrinks=True),
        Column("wanted", [item.wanted[0] for item in errors], shrinks=True),
        Column("got", [item.got for item in errors], shrinks=True),
        Column("edits", [f"{item.distance:,}" for item in errors], "right"),
    ]
    if any(len(item.wanted) > 1 for item in errors):
        also = [", ".join(item.wanted[1:]) for item in errors]
        columns.append(Column("also right", also, rank=1, shrinks=True, faint=True))
    return columns


def _class_columns(classes: Classes) -> list[Column]:
    """Lay out a matrix: a row a right output, a column an output that was written.

    Where there is no room, the columns of the outputs that are wanted least give way.
    """
    sums = [
        sum(row) + other
        for row, other in zip(classes.counts, classes.others, strict=True)
    ]
    ranks = {
        n: k for k, n in enumerate(sorted(range(len(sums)), key=lambda n: -sums[n]))
    }
    right = [_share(row[n], sums[n]) for n, row in enumerate(classes.counts)]
    columns = [
        Column("wanted", classes.outputs, shrinks=True),
        Column("right", right, "right"),
    ]
    for n, output in enumerate(classes.outputs):
        cells = [_count(row[n]) for row in classes.counts]
        columns.append(Column(output, cells, "right", 2 + ranks[n]))
    if any(classes.others):
        cells = [_count(count) for count in classes.others]
        columns.append(Column("(others)", cells, "right", 1))
    return columns


def _count(count: int) -> str:
    """Write a count; none is left out of sight."""
    return f"{count:,}" if count else "."


def _share(part: int, whole: int) -> str:
    """Write a share in percent."""
    return f"{part / whole:.1%}"


def _confusion_columns(confusions: Sequence[Confusion]) -> list[Column | Bars]:
    """List which characters were written for which, and how often."""
    most = max(item.count for item in confusions)
    return [
        Column("wanted", [item.wanted for item in confusions], symbols=True),
        Column("got", [item.got for item in confusions], symbols=True),
        Column("times", [f"{item.count:,}" for item in confusions], "right"),
        Column("share", [f"{item.share:.1%}" for item in confusions], "right"),
        Bars([item.count / most for item in confusions], BAR),
    ]


VIEW = ErrorsView()
