import json
import lzma
from pathlib import Path

import pytest

from charrnn.errors import CorpusError, InputError
from charrnn.inspection.diversity import Overlap, draw_samples, measure_diversity
from charrnn.inspection.records import as_json, tsv
from charrnn.vocab import Vocab
from tests.factories import TEXT, make_checkpoint, make_vocab, model_of

VOCAB = make_vocab(TEXT)


def grams(text: str, n: int) -> list[str]:
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def overlap_of(text: str, path: Path, vocab: Vocab = VOCAB) -> Overlap:
    found = measure_diversity([text], vocab, corpus=[str(path)]).overlap
    assert found is not None
    return found


def test_counts_are_those_of_the_text():
    found = measure_diversity([TEXT * 2], VOCAB).measures

    assert (found.characters, found.words) == (len(TEXT * 2), len(TEXT.split()) * 2)
    for item in found.character_grams:
        own = grams(TEXT * 2, item.n)
        assert (item.total, item.distinct) == (len(own), len(set(own)))
    pairs = list(zip((TEXT * 2).split(), (TEXT * 2).split()[1:], strict=False))
    assert (found.word_grams[1].total, found.word_grams[1].distinct) == (
        len(pairs),
        len(set(pairs)),
    )
    twenty = grams(TEXT * 2, 20)
    assert found.repetition == pytest.approx(1 - len(set(twenty)) / len(twenty))
    assert found.longest_repeat.text == TEXT


def test_what_repeats_itself_compresses_well():
    dull = measure_diversity(["the sea " * 500], VOCAB).measures
    rich = measure_diversity(["".join(map(chr, range(300, 4300)))], VOCAB).measures

    assert dull.compression < 0.02
    assert rich.compression > 0.2
    size = len(lzma.compress(b"the sea " * 500, format=lzma.FORMAT_XZ))
    assert dull.compression * 4000 < size


def test_samples_do_not_run_into_one_another():
    found = measure_diversity(["the", "sea"], VOCAB, drawn=True)

    assert (found.source, found.samples) == ("samples", 2)
    assert [item.total for item in found.measures.character_grams[:4]] == [6, 4, 2, 0]
    assert found.measures.character_grams[3].share is None
    assert found.measures.repetition is None


def test_a_corpus_shows_what_was_copied(tmp_path: Path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("by the old quay, where the sea is calm at noon\n" * 3)
    second.write_text("the old houses\n")
    text = "Nobody. where the sea is calm at noon? the old houses! Far out it is wild."
    found = measure_diversity([text], VOCAB, corpus=[str(first), str(second)])
    overlap = found.overlap

    assert overlap is not None
    corpus = [first.read_text(), second.read_text()]
    twenty = grams(text, 20)
    seen = [any(gram in part for part in corpus) for gram in twenty]
    assert overlap.seen == pytest.approx(sum(seen) / len(seen))
    assert overlap.longest_copy.text == " where the sea is calm at noon"
    assert overlap.characters == sum(map(len, corpus))
    assert overlap.same_size.characters == len(text)
    assert overlap.same_size.longest_repeat.characters > 20


def test_line_ends_of_the_corpus_are_read_as_the_vocabulary_has_them(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())

    assert overlap_of(TEXT, path).seen == 1.0
    kept = overlap_of(TEXT, path, make_vocab(TEXT + "\r")).seen
    assert kept is not None
    assert kept < 1.0


def test_bytes_are_compared_with_bytes(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"0123456789\xff\xfe0123456789\xc3")
    text = path.read_bytes().decode("latin-1")
    found = overlap_of(text, path, make_vocab("0é", "byte"))

    assert found.longest_copy.characters == 23


def test_unusable_texts_are_errors(tmp_path: Path):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"\xff")

    with pytest.raises(CorpusError, match="empty"):
        measure_diversity([""], VOCAB)
    with pytest.raises(InputError, match="does not exist") as caught:
        measure_diversity(["a"], VOCAB, corpus=[str(tmp_path / "none")])
    assert caught.value.hint == "check the path"
    with pytest.raises(CorpusError, match="not valid utf-8"):
        measure_diversity(["a"], VOCAB, corpus=[str(bad)])


def test_a_text_of_one_character_and_an_empty_corpus_have_nothing_to_share(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("")
    found = measure_diversity(["a"], VOCAB, corpus=[str(path)])

    assert found.measures.longest_repeat.characters == 0
    assert found.overlap is not None
    assert found.overlap.longest_copy.characters == 0
    assert found.overlap.seen is None
    json.dumps(as_json(found), allow_nan=False)


def test_long_texts_are_measured_at_their_beginning(monkeypatch):
    monkeypatch.setattr("charrnn.inspection.diversity.MEASURED", 10)

    assert measure_diversity(["a" * 30, "b" * 30], VOCAB).measures.characters == 10


def test_the_same_samples_are_drawn_every_time():
    model = model_of(make_checkpoint())
    first = draw_samples(model, count=3, length=50)

    assert [len(text) for text in first] == [50, 50, 50]
    assert len(set(first)) == 3
    assert draw_samples(model, count=3, length=50) == first


def test_rows_and_json_have_the_same_numbers(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT * 3)
    view = measure_diversity([TEXT * 2], VOCAB, corpus=[str(path)])
    header, *rows = [line.split("\t") for line in tsv(view)]
    found = as_json(view)

    assert header == ["measure", "n", "value", "corpus"]
    named = {(row[0], row[1]): row[2:] for row in rows}
    item = found["measures"]["character_grams"][2]
    assert float(named["distinct_characters", "3"][0]) == item["share"]
    assert float(named["seen", "20"][0]) == found["overlap"]["seen"] == 1.0
    assert float(named["compression", ""][1]) == pytest.approx(
        found["overlap"]["same_size"]["compression"]
    )
