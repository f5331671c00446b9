"""Samples come out in order and whole, whenever their pieces come in."""

import io
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.output import TextSink
from charrnn.cli.writers import JsonWriter, Layout, TextWriter, open_output
from charrnn.config import UnitName
from charrnn.errors import OutputError
from charrnn.escapes import readable
from charrnn.generation import Piece, Score


def layout(unit: UnitName = "char", *, each: int = 9, **changes: Any) -> Layout:
    """Lay out samples of one prompt, unless told otherwise."""
    return Layout(unit=unit, each=each, **changes)


def pieces_of(*samples: str) -> list[Piece]:
    """Cut samples into characters that arrive in turn, as a batch makes them."""
    length = max(map(len, samples))
    pieces = []
    for t in range(length + 1):
        for n, text in enumerate(samples):
            if t < len(text):
                pieces.append(Piece(n, text[t], 1.0, total=t + 1.0))
            if t == len(text):
                pieces.append(Piece(n, "", 0.0, "length", total=float(t)))
    return pieces


def written(layout: Layout, *samples: str) -> bytes:
    """Collect what a text writer makes of some samples."""
    stream = io.BytesIO()
    with TextSink(stream) as sink:
        writer = TextWriter(sink, len(samples), layout)
        writer.start()
        for piece in pieces_of(*samples):
            writer.take(piece)
    return stream.getvalue()


@pytest.mark.parametrize("stream", [True, False])
def test_samples_are_parted_and_the_end_is_a_line(stream: bool) -> None:
    plain = layout(stream=stream)
    ruled = layout(stream=stream, prompts=["> "], separator="\n--\n")

    assert written(plain, "one", "two") == b"one\ntwo\n"
    assert written(plain, "one\n") == b"one\n"
    assert written(plain, "one\n", "two\n") == b"one\n\ntwo\n"
    assert written(plain, "") == b""
    assert written(ruled, "one", "two") == b"> one\n--\n> two\n"


@pytest.mark.parametrize("stream", [True, False])
def test_null_ends_every_sample(stream: bool) -> None:
    """As ``xargs -0`` and ``read -d ''`` like it, the last one included."""
    assert written(layout(null=True, stream=stream), "a\n", "b") == b"a\n\0b\0"


def test_nothing_is_added_where_no_newline_is_wanted() -> None:
    assert written(layout(newline=False), "one", "two") == b"one\ntwo"


def test_symbols_of_bytes_become_bytes() -> None:
    raw = layout("byte", prompts=["\xc3"], separator="\xff", newline=False)

    assert written(raw, "\xa9\x80", "\xe9") == b"\xc3\xa9\x80\xff\xc3\xe9"


def test_first_unfinished_sample_is_shown_as_it_grows() -> None:
    stream = io.BytesIO()
    writer = TextWriter(TextSink(stream), 3, layout(prompts=["> "]))
    writer.start()
    seen = [stream.getvalue()]

    def take(sample: int, text: str, *, last: bool = False) -> None:
        writer.take(Piece(sample, text, 0.0, "stop" if last else None))
        seen.append(stream.getvalue())

    take(0, "a\n")
    take(1, "b\n")
    take(0, "a\n", last=True)
    take(2, "c\n", last=True)
    take(1, "b\n", last=True)

    assert seen == [
        b"> ",
        b"> a\n",
        b"> a\n",
        b"> a\na\n\n> b\n",
        b"> a\na\n\n> b\n",
        b"> a\na\n\n> b\nb\n\n> c\n",
    ]


def test_without_streaming_only_whole_samples_are_shown() -> None:
    stream = io.BytesIO()
    writer = TextWriter(TextSink(stream), 2, layout(stream=False, prompts=["> "]))
    writer.start()
    writer.take(Piece(0, "a\n"))
    writer.take(Piece(1, "b\n", 0.0, "stop"))
    assert stream.getvalue() == b""

    writer.take(Piece(0, "a\n", 0.0, "length"))
    assert stream.getvalue() == b"> a\na\n\n> b\n"


@given(
    st.lists(st.text("ab\n", max_size=6), min_size=1, max_size=4),
    st.integers(1, 4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_order_of_arrival_does_not_matter(
    samples: list[str], each: int, stream: bool, rng: random.Random
) -> None:
    """Each sample's own pieces keep their order; samples may end in any.

    Prompts come in slices, each before so many samples.
    """
    queues = [
        [Piece(n, c) for c in text] + [Piece(n, "", 0.0, "stop")]
        for n, text in enumerate(samples)
    ]
    prompts = [("", "<", f"{n}>") for n in range(len(samples))]
    marked = layout(stream=stream, separator="|", prompts=prompts, each=each)
    out = io.BytesIO()
    with TextSink(out) as sink:
        writer = TextWriter(sink, len(samples), marked)
        writer.start()
        while any(queues):
            writer.take(rng.choice([q for q in queues if q]).pop(0))

    expected = "|".join(f"<{n // each}>{text}" for n, text in enumerate(samples))
    assert out.getvalue().decode() == expected + "\n" * (expected[-1] != "\n")


@pytest.mark.parametrize("stream", [True, False])
def test_interrupted_text_is_written_as_far_as_it_is(stream: bool) -> None:
    out = io.BytesIO()
    writer = TextWriter(TextSink(out), 2, layout(prompts=["> "], stream=stream))
    writer.start()
    writer.take(Piece(0, "some"))
    writer.take(Piece(1, "other"))
    writer.interrupt(
        [Piece(0, " held", 0.0, "interrupted"), Piece(1, "", 0.0, "interrupted")]
    )

    assert out.getvalue() == b"> some held"


def records(
    unit: UnitName, pieces: list[Piece], count: int, *prompts: str
) -> list[dict[str, Any]]:
    """Parse what a JSON writer makes of some pieces."""
    before: dict[str, Any] = {"seed": 7}
    after: dict[str, Any] = {"sampler": {}}
    stream = io.BytesIO()
    with TextSink(stream) as sink:
        writer = JsonWriter(sink, count, unit, prompts or [""], before, after)
        writer.start()
        for piece in pieces:
            writer.take(piece)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_records_come_in_order_with_their_figures() -> None:
    first, second = records("char", pieces_of("né", ""), 2, "Ha☃")

    assert first == {
        "index": 0,
        "seed": 7,
        "prompt": "Ha☃",
        "text": "né",
        "chars": 2,
        "finish_reason": "length",
        "nats": 2.0,
        "bits_per_char": pytest.approx(1.4426950408889634),
        "sampler": {},
    }
    assert list(first)[:3] == ["index", "seed", "prompt"]
    assert list(first)[-1] == "sampler"
    assert second["index"] == 1
    assert second["bits_per_char"] is None


def test_records_of_bytes_count_bytes() -> None:
    (record,) = records("byte", pieces_of("\xc3\xa9\xff"), 1, "\xc3\xa9\xc3")

    assert (record["text"], record["chars"]) == ("é\ufffd", 3)
    assert record["prompt"] == "é\ufffd"
    assert readable("\xc3\xa9", "char") == "\xc3\xa9"


@pytest.mark.parametrize("each", [1, 2, 3])
def test_records_name_their_prompts(each: int) -> None:
    """The samples of each prompt follow one another."""
    prompts = ["one", "", "three"]
    found = records("char", pieces_of(*"abcdefghi"[: 3 * each]), 3 * each, *prompts)

    assert [record["prompt"] for record in found] == [
        prompt for prompt in prompts for _ in range(each)
    ]
    assert [record["index"] for record in found] == list(range(3 * each))


def test_scores_become_logarithms_of_probability() -> None:
    """With their signs turned, and no negative zero; none where none are wanted."""
    first = Score("a", 0.0, (("a", 0.0), ("☃", 2.5)))
    second = Score("☃", 2.5, (("a", 0.5), ("\n", 1.5)))
    pieces = [
        Piece(0, "a", 0.0, None, (first,)),
        Piece(0, "☃", 2.5, "length", (second,)),
        Piece(1, "a", 1.0, "length"),
    ]
    scored, plain = records("char", pieces, 2)

    def entry(char: str, logprob: float) -> dict[str, Any]:
        return {"char": char, "logprob": logprob}

    assert scored["logprobs"] == [
        entry("a", 0.0) | {"top": [entry("a", 0.0), entry("☃", -2.5)]},
        entry("☃", -2.5) | {"top": [entry("a", -0.5), entry("\n", -1.5)]},
    ]
    assert "-0.0" not in json.dumps(scored)
    assert "logprobs" not in plain


def test_impossible_alternatives_are_left_out() -> None:
    """JSON has no infinity."""
    score = Score("a", 0.0, (("a", 0.0), ("b", math.inf)))
    (record,) = records("char", [Piece(0, "a", 0.0, "length", (score,))], 1)

    (entry,) = record["logprobs"]
    assert [top["char"] for top in entry["top"]] == ["a"]


def test_scores_of_bytes_name_bytes() -> None:
    """A byte that is no character of its own is written as an escape."""
    score = Score("\xc3", 1.0, (("a", 0.5), ("\n", 0.75), ("\xc3", 1.0)))
    (record,) = records("byte", [Piece(0, "\xc3", 1.0, "length", (score,))], 1)

    (entry,) = record["logprobs"]
    assert entry["char"] == "\\xc3"
    assert [top["char"] for top in entry["top"]] == ["a", "\n", "\\xc3"]


def test_interrupted_records_say_so() -> None:
    stream = io.BytesIO()
    writer = JsonWriter(TextSink(stream), 2, "char", [""], {}, {})
    writer.take(Piece(1, "b", 1.0, "stop"))
    writer.take(Piece(0, "a", 1.0))
    assert stream.getvalue() == b""
    writer.interrupt([Piece(0, "a", 1.0, "interrupted")])

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["finish_reason"] for line in lines] == ["interrupted", "stop"]
    assert [line["text"] for line in lines] == ["aa", "b"]


def test_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("something longer that was there")
    with open_output(str(path), keep=[tmp_path / "model.npz"]) as sink:
        sink.write("new")

    assert path.read_text() == "new"


def test_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    """By none of its names."""
    model, link = tmp_path / "model.npz", tmp_path / "link"
    model.write_bytes(b"precious")
    link.symlink_to(model)

    for path in (model, link, tmp_path / "." / "model.npz"):
        with (
            pytest.raises(OutputError, match="a file that is read"),
            open_output(str(path), keep=[model]),
        ):
            pass
    assert model.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["", "missing/out.txt"])
def test_file_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    with (
        pytest.raises(OutputError, match="cannot write the output") as caught,
        open_output(path, keep=[tmp_path / "model.npz"]),
    ):
        pass
    assert caught.value.where == path


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    with (
        pytest.raises(OutputError, match="space") as caught,
        open_output("/dev/full", keep=[tmp_path / "model.npz"]) as sink,
    ):
        sink.write("text\n")
    assert caught.value.where == "/dev/full"
