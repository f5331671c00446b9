"""Training on pairs: outputs alone are learned, and inputs are on one side."""

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charrnn
from charrnn.arrays import IGNORED
from charrnn.config import ModelConfig, TrainConfig
from charrnn.generation import decode
from charrnn.network import Network
from charrnn.pairs import Pairs
from charrnn.parameters import initialize
from charrnn.streams import PairStreams
from charrnn.textmodel import TextModel
from charrnn.training.kneser_ney import probabilities
from charrnn.training.records import EVALUATED, Ended, Evaluation, Step
from charrnn.vocab import Vocab
from charrnn.windows import Documents
from tests.gradcheck import assert_same_gradient, numeric_gradient
from tests.training.support import LONG_PAIRS, PAIRS, finish, prepared, run_of

NewNetwork = Callable[..., Network]

VOCAB = Vocab("\t\nabc", (1,) * 5)
DOCUMENTS = Documents.of(VOCAB, lines=False, pairs=True)
SHAPE = ModelConfig(vocab_size=len(VOCAB), hidden=4)
TEXT = "ab\tba\nabc\tcba\nc\tcc\nbb\ta\nca\tac\naac\tcaa\n"


def prepared_pairs(tmp_path: Path, **options: Any) -> Any:
    """Prepare a run on a few pairs."""
    given = {"pairs": True, "steps": 20} | options
    return prepared(tmp_path / "p.tsv", given.pop("text", PAIRS), **given)


def streams(seed: int = 0, batch_size: int = 2, seq_length: int = 8) -> PairStreams:
    """Cut a few pairs into windows."""
    ids = VOCAB.encode(TEXT).astype(np.uint8)
    return PairStreams(ids, batch_size, seq_length, DOCUMENTS, seed)


def test_the_gradient_is_that_of_the_scored_targets(new_network: NewNetwork) -> None:
    network = new_network(SHAPE, np.float64)
    window = streams().window(0, 0)
    gradient = np.zeros_like(network.theta)

    def loss() -> float:
        network.pack()
        nats = network.losses(window, network.new_state(2))
        return float(nats.sum()) / np.count_nonzero(window.targets != IGNORED)

    found = network.loss_and_gradient(window, network.new_state(2), gradient)
    assert found == pytest.approx(loss(), rel=1e-12)
    assert 0 < np.count_nonzero(window.targets == IGNORED) < window.targets.size
    assert_same_gradient(gradient, numeric_gradient(loss, network.theta))


def test_the_order_of_lines_changes_no_loss(new_network: NewNetwork) -> None:
    """Nor do the streams, nor how a text is read to be scored."""
    network = new_network(SHAPE, np.float64)
    model, found = TextModel.of(network, VOCAB, pairs=True), []
    for cut in (streams(0), streams(1), streams(2, 3, 5), streams(0, 1, 40)):
        state, losses = network.new_state(cut.batch_size), list[float]()
        for k in range(cut.windows):
            window = cut.window(3, k)
            nats = network.losses(window, state)
            losses += nats[window.targets != IGNORED].tolist()
        found.append(sorted(losses))
    ids = VOCAB.encode(TEXT)
    nats = np.concatenate([part.nats for part in model.costs([ids[:9], ids[9:]])])
    found.append(sorted(nats[DOCUMENTS.scored(ids)].tolist()))

    for losses in found[1:]:
        assert losses == pytest.approx(found[0], rel=1e-9)
    assert model.mean_loss(ids) == pytest.approx(float(np.mean(found[0])))
    assert model.loss(TEXT) == pytest.approx(float(np.mean(found[0])))
    assert not nats[~DOCUMENTS.scored(ids)].any()


def test_long_inputs_are_read_to_the_end_before_an_output_is_scored(
    new_network: NewNetwork,
) -> None:
    """Also in a text that is scored in many pieces, which fall into inputs."""
    network = new_network(SHAPE, np.float64)
    # What was read long ago tells: states do not fade.
    rng = np.random.default_rng(1)
    initialize(network.theta, network.config, TrainConfig.init, 20.0, rng)
    network.pack()
    inputs = ("".join(rng.choice(list("abc"), 1000)) for _ in range(20))
    text = "".join(f"{one}\t{'abc'[k % 3]}\n" for k, one in enumerate(inputs))
    model, ids = TextModel.of(network, VOCAB, pairs=True), VOCAB.encode(text)
    scored, nats = DOCUMENTS.scored(ids), model.surprise(text)

    assert model.mean_loss(ids) == pytest.approx(float(nats[scored].mean()), rel=1e-9)
    assert model.network_costs(ids) == pytest.approx(nats, rel=1e-9)


def test_inputs_alone_have_no_loss(new_network: NewNetwork) -> None:
    """They are no pairs."""
    model = TextModel.of(new_network(SHAPE), VOCAB, pairs=True)

    for score in (model.loss, model.surprise):
        with pytest.raises(charrnn.CorpusError, match="no tab in this line"):
            score("abc")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_window_without_targets_teaches_nothing(
    tmp_path: Path, optimizer: str
) -> None:
    """The state goes on; no weight, moment or average moves, and no loss counts."""
    options: dict[str, Any] = {"batch_size": 1, "ema": 0.9, "val_fraction": 0.0}
    options |= {"dropout": 0.3, "weight_dropout": 0.3, "optimizer": optimizer}
    job = prepared_pairs(tmp_path, text=LONG_PAIRS, **options)
    trainer, losses, mean = job.trainer, list[float](), None
    assert trainer.average is not None
    kept = trainer.network.theta, trainer.average.theta
    kept += tuple(trainer.optimizer.moments.values())
    before, state = [array.tobytes() for array in kept], trainer.state.tobytes()
    for record in run_of(job):
        if not isinstance(record, Step):
            continue
        after = [array.tobytes() for array in kept]
        if record.loss is None:
            assert (after, record.bits_per_char) == (before, None)
            assert record.mean_loss == mean
            # The state goes on in the input.
            assert trainer.state.tobytes() != state or not trainer.position.window
        else:
            losses.append(record.loss)
        before, state, mean = after, trainer.state.tobytes(), record.mean_loss

    assert 0 < len(losses) < 20
    assert mean is not None
    assert mean > 2
    rows = [row["loss"] for row in job.history.rows if "loss" in row]
    assert min(loss for loss in rows if loss is not None) > 2


def test_pairs_that_are_longer_than_a_window_are_told_of(tmp_path: Path) -> None:
    text = PAIRS + LONG_PAIRS.partition("\n")[0] + "\n"
    whole = {"text": PAIRS, "seq_length": 20}
    for given, told in (
        ({"text": LONG_PAIRS}, "6 of 6 pairs are longer than a window of 8 characters"),
        ({"text": text, "seq_length": 20}, "1 of 43 pairs is longer than a window"),
        (whole, None),
    ):
        job = prepared_pairs(tmp_path, val_fraction=0.0, **given)
        found = [note for note in job.notes if "longer than a window" in note]
        assert len(found) == (told is not None)
        assert told is None or (told in found[0] and "seq_length" in found[0])


def test_n_grams_score_outputs_alone(tmp_path: Path) -> None:
    """As they do the same characters of whole lines."""
    job = prepared_pairs(tmp_path)
    texts = job.texts(job.trainer.streams.ids, job.held_out)
    scored = job.documents.scored(job.held_out)
    whole = prepared_pairs(tmp_path, pairs=False, lines=True, val_fraction=0.1)
    lines = whole.texts(texts.train, texts.held_out)

    for outputs, all_ in zip(
        probabilities(texts, 4), probabilities(lines, 4), strict=True
    ):
        assert outputs.tolist() == all_[scored].tolist()
    found = job.baselines()
    assert found is not None
    assert found.xz is None
    assert not found.notes
    written = "".join(line.partition("\t")[2] + "\n" for line in PAIRS.splitlines())
    assert found.order0 < math.log(len(set(written)))


def test_records_tell_what_is_exact(tmp_path: Path) -> None:
    """At evaluations and at the end, where the memory helps as it does in samples."""
    job = prepared_pairs(tmp_path, model={"hidden": 32}, steps=300, lr=0.02)
    run = run_of(job)
    records, ended = finish(run)
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    pairs = job.held_out_pairs

    assert isinstance(pairs, Pairs)
    assert len(pairs) < EVALUATED
    model = run.model
    assert model.memory is not None
    expected = model.accuracy(pairs)
    assert expected is not None
    assert (ended.exact, ended.error_rate) == expected
    alone = model.blended(1.0).accuracy(pairs)
    assert alone is not None
    assert (evaluations[-1].exact, evaluations[-1].error_rate) == alone
    assert job.history.accuracy_at(300) == alone
    outputs = decode(model, pairs.inputs)
    written = ["".join(model.vocab.symbols[i] for i in out) for out in outputs]
    inputs = ["".join(model.vocab.symbols[i] for i in one) for one in pairs.inputs]
    assert [model.sample(one) for one in inputs] == written


def test_a_long_output_is_written_less_often(tmp_path: Path) -> None:
    """It may be written with none beside it, slowly, and take most of the run."""
    evaluated = []
    for output in ("b", "b" * 100):
        held_out = charrnn.Text(f"s\t{output}\n")
        options = {"val_file": held_out, "val_fraction": None, "eval_every": None}
        records, _ = finish(run_of(prepared_pairs(tmp_path, steps=40, **options)))
        evaluated.append(sum(isinstance(record, Evaluation) for record in records))

    assert evaluated[0] > evaluated[1] == 1


def test_running_text_has_nothing_exact(tmp_path: Path) -> None:
    records, ended = finish(run_of(prepared(tmp_path / "t.txt", steps=3)))

    found = [r for r in records if isinstance(r, Evaluation | Ended)]
    assert {r.exact for r in found} == {r.error_rate for r in found} == {None}
    assert ended.exact is None


def test_without_held_out_pairs_nothing_is_exact(tmp_path: Path) -> None:
    _, ended = finish(run_of(prepared_pairs(tmp_path, val_fraction=0.0, steps=3)))

    assert (ended.exact, ended.error_rate) == (None, None)


def test_several_outputs_of_one_input_are_all_right(tmp_path: Path) -> None:
    text = "a\tb\na\tc\n" * 10
    job = prepared_pairs(
        tmp_path,
        text=text,
        val_file=charrnn.Text(text),
        val_fraction=None,
        steps=150,
        lr=0.05,
    )
    _, ended = finish(run_of(job))

    assert ended.exact == 1.0
    assert ended.val_loss == pytest.approx(math.log(2) / 2, rel=0.1)


def test_what_is_held_out_does_not_move(tmp_path: Path) -> None:
    """Another order of lines, more lines: the same inputs are held out."""
    lines = PAIRS.splitlines(keepends=True)
    texts = (PAIRS, "".join(lines[::-1]), PAIRS + "more\terom\n")
    sides = []
    for text in texts:
        job = prepared_pairs(tmp_path, text=text)
        symbols = job.vocab.symbols
        held = "".join(symbols[i] for i in job.held_out).splitlines()
        sides.append(sorted(set(held) - {"more\terom"}))

    assert sides[0] == sides[1] == sides[2]
    assert sides[0]


def test_the_plan_looks_at_the_usual_pair(tmp_path: Path) -> None:
    text = PAIRS * 5 + "x" * 200 + "\ty\n"
    options = {"batch_size": None, "seq_length": None, "val_fraction": 0.0}
    config = prepared_pairs(tmp_path, text=text, **options).trainer.config

    assert config.seq_length == 32


def test_a_small_file_may_have_nothing_to_hold_out(tmp_path: Path) -> None:
    job = prepared_pairs(tmp_path, text="a\tb\nb\ta\n" * 4, val_fraction=0.001)

    assert job.held_out is None
    assert job.not_validated is not None
    assert "hash" in job.not_validated


def test_python_trains_on_pairs(tmp_path: Path) -> None:
    """From a text in memory, with a file of its own kind to validate on."""
    run = charrnn.train(
        charrnn.Text("a; b\nb; a\n" * 8),
        pairs=True, pair_separator="; ", hidden=16, steps=60, lr=0.03,
        val_file=charrnn.Text("a; b\n"),
    )  # fmt: skip
    ended = list(run)[-1]

    assert isinstance(ended, Ended)
    assert (ended.exact, ended.error_rate) == (1.0, 0.0)
    assert run.model.of_pairs
    assert run.model.sample("a") == "b"
    assert run.model.sample("b", temperature=0.5, seed=1) in "ab"
    assert run.model.loss("a\tb\n") < 0.5
    run.model.save(tmp_path / "m.npz")
    run.save(tmp_path / "r.npz")
    for name in ("m.npz", "r.npz"):
        model = charrnn.load(tmp_path / name)
        assert model.of_pairs
        assert model.sample("b") == "a"
        assert model.loss("a\tb\n") == run.model.loss("a\tb\n")


def test_weights_of_running_text_begin_pairs(tmp_path: Path) -> None:
    """What parts pairs is a character like another, here a new one."""
    _, _ = finish(run := run_of(prepared(tmp_path / "t.txt", steps=3)))
    run.save(tmp_path / "t.npz")
    job = prepared_pairs(tmp_path, init_from=tmp_path / "t.npz", steps=2)

    assert any("new character" in note for note in job.notes)
    finish(run_of(job))


def test_a_model_of_pairs_that_begins_another_run_is_told_of(tmp_path: Path) -> None:
    """Whether its file has its run or not; who asks for pairs need not be told."""
    finish(run := run_of(prepared_pairs(tmp_path, steps=2)))
    run.save(tmp_path / "run.npz")
    run.model.save(tmp_path / "model.npz")
    for name, pairs, told in (
        ("run.npz", False, True),
        ("model.npz", False, True),
        ("run.npz", True, False),
        ("model.npz", True, False),
    ):
        options = {"init_from": tmp_path / name, "steps": 2, "pairs": pairs}
        notes = " ".join(prepared_pairs(tmp_path, **options).notes)
        assert (f"{name} is a model of pairs; " in notes) == told
        assert ("pairs=True goes on with pairs" in notes) == told


def test_words_are_learned_to_be_said_backwards() -> None:
    """By what was held out, which no n-gram knows."""
    words = ["".join(some) for n in range(1, 6) for some in product("abc", repeat=n)]
    text = "".join(f"{word}\t{word[::-1]}\n" for word in words)
    run = charrnn.train(charrnn.Text(text), pairs=True, hidden=64, steps=500)
    ended = list(run)[-1]

    assert isinstance(ended, Ended)
    assert ended.exact is not None
    assert ended.exact >= 0.9
