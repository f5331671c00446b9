"""The arithmetic of a living page, in a real browser, against that of Python."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from charrnn.config import SampleConfig
from charrnn.display.live_program import engine
from charrnn.inspection import LivePrecision, living
from charrnn.inspection.features import FEATURES, features
from charrnn.inspection.living import facts, store, tensors
from charrnn.sampling import Randomness, distribution
from charrnn.textmodel import TextModel
from charrnn.vocab import Vocab
from charrnn.windows import Window
from tests.browser import Tab, browser
from tests.factories import PAIRS_TEXT, TEXT, make_checkpoint, model_of

#: Every cell, and what else a network may have.
NETWORKS: dict[str, dict[str, Any]] = {
    f"{cell} {norm} {layers} {lags}": {
        "cell": cell,
        "norm": norm,
        "layers": layers,
        "lags": lags,
    }
    for cell in ("rnn", "gru", "lstm")
    for norm in ("none", "layer", "batch")
    for layers, lags in ((1, (1,)), (2, (1, 3)), (3, (1,)))
} | {
    f"rnn {activation}": {"cell": "rnn", "activation": activation, "hidden": 4}
    for activation in ("sigmoid", "relu", "leaky-relu")
}


@pytest.fixture(scope="module")
def tab(tmp_path_factory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        driver.get("about:blank")
        yield Tab(driver)


def run(tab: Tab, script: str, *arguments: Any) -> Any:
    """Run a script that uses the engine."""
    return tab.run(f'"use strict";{engine()}\n{script}', *arguments)


def held_by(model: TextModel, precision: LivePrecision = "float32") -> list[Any]:
    """Give facts and weights as a page has them."""
    stored = {name: store(v, precision) for name, v in tensors(model).items()}
    places, data = living._joined(stored)
    told = json.loads(json.dumps(facts(model, places)))
    return [told, base64.b64encode(data).decode()]


def random_model(text: str = TEXT, **options: Any) -> TextModel:
    model = model_of(make_checkpoint(text, optimizer="adam", **options))
    if "activation" in options:  # what is rectified would grow beyond all bounds
        model.network.theta *= 0.3
        model.network.pack()
    return model


MADE = "const network = new Network(arguments[0], decodeBase64(arguments[1]));"

READ = f"""{MADE}
const state = network.newState(), rows = [], out = new Float32Array(network.V);
for (const id of arguments[2]) {{
  network.read(state, id);
  network.predict(state, out);
  rows.push(Array.from(out));
}}
return rows;"""


def read_by_python(model: TextModel, ids: Any) -> tuple[list[int], Any]:
    """List what the network reads of a text, and its logits."""
    state = model.network.new_state(1)
    windows = list(model.read([ids], ahead=True))
    logits = [model.network.logits(window, state)[:, 0] for window in windows]
    read = np.concatenate([window.inputs[:, 0] for window in windows])
    return read.tolist(), np.concatenate(logits)


@pytest.mark.parametrize("case", NETWORKS)
def test_logits_are_those_of_the_kernels(tab, case):
    model = random_model(**NETWORKS[case])
    read, wanted = read_by_python(model, model.vocab.encode(TEXT))

    found = np.array(run(tab, READ, *held_by(model), read))

    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize("kind", ["lines", "pairs"])
def test_documents_begin_with_an_empty_state(tab, kind):
    model = random_model(PAIRS_TEXT, lags=(1, 2), **{kind: True})
    read, wanted = read_by_python(model, model.vocab.encode(PAIRS_TEXT))

    found = np.array(run(tab, READ, *held_by(model), read))

    assert np.abs(found - wanted).max() < 1e-4


@pytest.mark.parametrize("precision", ["float16", "int8", "float32"])
def test_weights_come_back_as_they_were_rounded(tab, precision):
    model = random_model(norm="batch")
    stored = {name: store(v, precision) for name, v in tensors(model).items()}
    script = f"""{MADE}
    return Object.fromEntries(arguments[0].tensors.map((place) =>
      [place.name, Array.from(readTensor(decodeBase64(arguments[1]), place))]));"""

    found = run(tab, script, *held_by(model, precision))

    assert found.keys() == stored.keys()
    for name, one in stored.items():
        values = np.array(found[name], np.float32).reshape(one.values.shape)
        np.testing.assert_array_equal(values, one.values)
        scale = np.abs(tensors(model)[name]).max()
        error = {"float32": 0, "float16": 2**-11, "int8": 0.51 / 127}[precision]
        assert np.abs(values - tensors(model)[name]).max() <= error * scale


def test_every_float16_is_read_right(tab):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    script = "return Array.from({length: 1 << 16}, (_, n) => `${halfToNumber(n)}`)"

    found = np.array([float(one) for one in run(tab, script)])

    np.testing.assert_array_equal(found, every.astype(np.float64))


@pytest.mark.parametrize("case", NETWORKS)
def test_what_a_prediction_hung_on_is_the_gradient_of_the_kernels(tab, case):
    model = random_model(**NETWORKS[case])
    network = model.network
    ids = model.vocab.encode(TEXT)[:12]
    script = f"""{MADE}
    const state = network.newState();
    const steps = arguments[2].map((id) => {{
      const step = network.newSteps();
      network.read(state, id, step);
      return step;
    }});
    return Array.from(inputGradients(network, steps, arguments[3]));"""

    found = run(tab, script, *held_by(model), ids[:-1].tolist(), int(ids[-1]))

    state = network.new_state(1)
    passed = network.forward(Window.of_inputs(ids[:-1, None]), state)
    dy = np.zeros_like(passed.y)
    dy[-1:] = network.loss_gradient(passed.y[-1:], ids[-1:])
    network.backward(passed, range(len(dy)), dy, lambda layer, gradient: None)
    dz = passed.tapes[0].z[:, 0]
    wanted = np.linalg.norm(dz @ network.parameters.layers[0].Wx.T, axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1, 2**32, 2**53 - 1])
@pytest.mark.parametrize("sample", [0, 3])
def test_random_numbers_are_those_of_sampling(tab, seed, sample):
    script = """const random = new Randomness(arguments[0], arguments[1]);
    return Array.from({length: 25}, () => random.take())"""

    found = run(tab, script, seed, sample)

    assert found == Randomness(seed).take(sample, 25).tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.3},
        {"temperature": 0},
        {"top_k": 3},
        {"top_p": 0.7},
        {"min_p": 0.2},
        {"typical": 0.5},
        {"temperature": 1.7, "top_k": 9, "typical": 0.9, "top_p": 0.8, "min_p": 0.1},
    ],
)
def test_filters_are_those_of_sampling(tab, settings):
    """Also where logits are equal, and where nearly all is certain."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (20, 13)).astype(np.float32)
    logits[3:6] = np.rint(logits[3:6])
    logits[6, 2], logits[7] = 40, 0
    script = """return arguments[0].map((row) => {
      const weights = new Float64Array(row.length);
      weigh(Float32Array.from(row), arguments[1], weights);
      const total = sum(weights);
      return Array.from(weights, (weight) => weight / total);
    })"""
    names = {"top_k": "topK", "top_p": "topP", "min_p": "minP"}
    neutral = {"temperature": 1, "topK": 0, "typical": 1, "topP": 1, "minP": 0}
    asked = neutral | {names.get(k, k): v for k, v in settings.items()} | {"banned": []}

    found = np.array(run(tab, script, logits.tolist(), asked))

    wanted = distribution(logits, SampleConfig(**settings))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)
    assert ((found > 0) == (wanted > 0)).all()


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_texts_become_ids_and_texts_again(tab, unit):
    text = "sea 漢\U0001f44d\u05d0\n\x00é"
    data = text if unit == "char" else text.encode().decode("latin-1")
    symbols = "".join(sorted(set(data)))
    vocab = Vocab(symbols, (1,) * len(symbols), unit)
    script = """const vocabulary = new Vocabulary(arguments[0], arguments[1]);
    const decoder = new Decoder(vocabulary);
    const ids = Array.from(arguments[2]).flatMap((char) => vocabulary.encode(char));
    const again = ids.flatMap((id) => decoder.take(id));
    return [ids, again.map(([char]) => char).join("")]"""

    ids, again = run(tab, script, symbols, unit, text + "ω")

    assert ids == vocab.encode(text).tolist()
    assert again == text


def test_bytes_that_are_no_text_are_told_apart(tab):
    symbols = "".join(map(chr, range(256)))
    script = """const decoder = new Decoder(new Vocabulary(arguments[0], "byte"));
    return arguments[1].flatMap((id) => decoder.take(id))"""
    given = [0xFF, 0x41, 0xE6, 0xBC, 0x41, 0xE6, 0xBC, 0xA2, 0x80, 0xED, 0xA0, 0x80]

    found = run(tab, script, symbols, given)

    assert sum(count for _, count in found) == len(given)
    assert "".join(char for char, _ in found if char != "\ufffd") == "AA漢"


@pytest.mark.parametrize("symbols", ["\na", "\ra", "\n\ra"])
def test_line_ends_are_those_of_the_vocabulary(tab, symbols):
    vocab = Vocab("".join(sorted(symbols)), (1,) * len(symbols))
    script = """const vocabulary = new Vocabulary(arguments[0], "char");
    return vocabulary.encode("\\n").map((id) => [id, vocabulary.decode(id)])"""

    found = run(tab, script, vocab.symbols)

    assert found == [[int(vocab.encode("\n" if "\n" in symbols else "\r")[0]), "\n"]]


#: An engine whose slices are gone through at once, and what it tells.
ENGINE = f"""{MADE}
const told = [], work = [];
const hear = (message) => told.push(message), later = (todo) => work.push(todo);
const engine = new Engine(network, hear, later);
const tell = (message) => {{
  engine.take(message);
  while (work.length) work.shift()();
}};
const neutral = {{temperature: 1, topK: 0, typical: 1, topP: 1, minP: 0, banned: []}};
const write = (seed, left, filters = {{}}) => tell({{
  kind: "write", seed, left, goOn: false, held: null,
  filters: {{...neutral, ...filters}}}});
"""


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (TEXT, {}),
        (TEXT, {"lags": (1, 2, 5), "cell": "gru"}),
        (TEXT, {"lines": True}),
        (TEXT.replace("\n", "."), {"norm": "layer"}),
        ("sea 漢 \U0001f44d\n" * 3, {"unit": "byte"}),
    ],
)
@pytest.mark.parametrize("prompt", ["", "sea"])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.6, "top_p": 0.9}])
def test_it_writes_what_sample_writes(tab, text, options, prompt, settings):
    model = random_model(text, **options)
    ids = model.vocab.encode(prompt).tolist()
    named = {"topP" if k == "top_p" else k: v for k, v in settings.items()}
    script = f"""{ENGINE}
    tell({{kind: "text", version: 1, ids: arguments[2]}});
    write(7, 300, arguments[3]);
    return engine.reader.ids"""

    found = run(tab, script, *held_by(model), ids, named)

    wanted = model.sample(prompt, length=300, seed=7, **settings)
    assert model.vocab.decode(found[len(ids) :]) == wanted


def test_outputs_of_pairs_end_with_their_line(tab):
    model = random_model(PAIRS_TEXT, pairs=True)
    ids = model.vocab.encode("the sea\t").tolist()
    script = f"""{ENGINE}
    tell({{kind: "text", version: 1, ids: arguments[2]}});
    write(3, 500, {{banned: [arguments[0].separator]}});
    return engine.reader.ids"""

    found = run(tab, script, *held_by(model), ids)

    wanted = model.sample("the sea", length=500, seed=3, temperature=1.0)
    assert model.vocab.decode(found[len(ids) :]) == wanted + "\n"


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", ".")])
def test_characters_cost_what_surprise_says(tab, text):
    """Also after the text was changed in its middle, far from where it was read."""
    model = random_model(text, norm="layer")
    long = text * 9
    changed = long[:150] + "sea" + long[150:]
    script = f"""{ENGINE}
    for (const ids of arguments[2]) tell({{kind: "text", version: 1, ids}});
    return engine.reader.nats"""
    both = [model.vocab.encode(one).tolist() for one in (long, changed)]

    found = run(tab, script, *held_by(model), both)

    np.testing.assert_allclose(found, model.surprise(changed), atol=1e-4)


def test_a_held_unit_stays_at_its_value_while_it_is_written(tab):
    model = random_model()
    script = f"""{ENGINE}
    tell({{kind: "write", seed: 1, left: 50, goOn: false, filters: neutral,
           held: [[], [[2, 0.75]]]}});
    const free = engine.reader.ids.slice();
    return [free, engine.reader.nats.length]"""
    steered, read = run(tab, script, *held_by(model))
    script = f"{ENGINE}write(1, 50);return engine.reader.ids"
    free = run(tab, script, *held_by(model))

    assert read == len(steered) == len(free) == 50
    assert steered != free
    # Python's own step, with the unit set after every one.
    network, state = model.network, model.network.new_state(1)
    uniform = Randomness(1).take(0, 50)
    network.forward(Window.of_inputs(np.array([[model.documents.before]])), state)
    wanted = []
    y = state[1, 0]
    for n in range(50):
        logits = y @ network.parameters.Wy.T + network.parameters.by
        shares = np.cumsum(np.exp(logits[0].astype(np.float64)))
        wanted.append(int(np.searchsorted(shares, uniform[n] * shares[-1], "right")))
        network.forward(Window.of_inputs(np.array([wanted[-1:]])), state)
        state[1, 0, 0, 2] = 0.75
        y = state[1, 0]
    assert steered == wanted


def test_a_step_is_told_with_all_its_numbers(tab):
    model = random_model(norm="layer", layers=1)
    ids = model.vocab.encode(TEXT)
    script = f"""{ENGINE}
    tell({{kind: "text", version: 1, ids: arguments[2]}});
    tell({{kind: "step", place: 9}});
    const {{layers, shares}} = told.pop();
    return [layers.map((step) => Object.fromEntries(Object.entries(step).map(
      ([name, values]) => [name, Array.from(values.length ? values : [])]))),
      Array.from(shares)]"""

    (step,), shares = run(tab, script, *held_by(model), ids.tolist())

    (signals,) = model.signals(ids[:9], ("h", "c", "i", "f", "o"))
    h, c, i, f, o = signals[0][:, -1]
    np.testing.assert_allclose(step["h"], h, atol=1e-5)
    np.testing.assert_allclose(step["tanhC"], c, atol=1e-5)
    np.testing.assert_allclose(step["z"][:15], np.concatenate([i, f, o]), atol=1e-5)
    own = np.exp(-model.surprise(TEXT)[9])
    assert shares[ids[9]] == pytest.approx(own, rel=1e-4)


ODD = (
    'He said "no (never) [42]" and “yes”.\n\n  if (x) { "a\\"b" }\n\tÉcole ½ 漢\x1c٣\n'
    * 3
    + "plain words\tand outputs\n„open\n\nclosed"
)


def test_features_are_those_of_the_views(tab):
    script = "return featuresOf(Array.from(arguments[0])).map((one) => Array.from(one))"

    found = run(tab, script, ODD)

    np.testing.assert_array_equal(np.array(found).T, features(ODD))
    assert run(tab, "return FEATURES") == list(FEATURES)


def test_a_proof_is_made_of_the_other_half(tab):
    """A unit that follows quotes, one that follows nothing, and one turned round."""
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.3).astype(int)
    noise = rng.normal(0, 1, 400)
    script = """return arguments[0].map((unit) =>
      prove(Float32Array.from(unit), Uint8Array.from(arguments[1])))"""
    units = [labels + 0.1 * noise, noise, -labels + 0.1 * noise]

    found = run(tab, script, [unit.tolist() for unit in units], labels.tolist())

    chance = 1 - labels[200:].mean()
    assert [one["chance"] for one in found] == pytest.approx([chance] * 3)
    assert found[0]["right"] == found[2]["right"] == 1
    assert (found[0]["above"], found[2]["above"]) == (True, False)
    assert found[1]["right"] < chance + 0.05
    assert all(one["tested"] == 200 for one in found)


def test_units_that_follow_something_are_found(tab):
    text = 'the sea "old (houses) sea" by\n' * 20
    model = random_model(text, hidden=6)
    ids = model.vocab.encode(text)
    script = f"""{ENGINE}
    tell({{kind: "text", version: 1, ids: arguments[2]}});
    tell({{kind: "follow", place: 0}});
    return told.pop().best"""

    found = run(tab, script, *held_by(model), ids.tolist())

    half = ids.size // 2
    h = np.concatenate(list(model.signals(ids, ("h",))), axis=2)[:, 0, :half]
    wanted = features(text)[:half]
    assert {one["feature"] for one in found} >= {"line", "quotes", "brackets", "word"}
    for one in found:
        values = wanted[:, FEATURES.index(one["feature"])]
        r = [[np.corrcoef(values, h[k, :, j])[0, 1] for j in range(6)] for k in (0, 1)]
        assert abs(one["correlation"]) == pytest.approx(np.abs(r).max(), abs=1e-4)
        assert abs(r[one["layer"]][one["unit"]]) == pytest.approx(np.abs(r).max())
