"""`inspect --live`: when a page that runs a network comes about, and what is told."""

import re
from pathlib import Path

import pytest

from charrnn.__main__ import run
from tests.factories import TEXT, write_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("live") / "m.npz")


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run `inspect` in an empty directory: exit code, stdout and stderr.

    The line that says so while kernels are compiled comes in the first run alone.
    """
    monkeypatch.chdir(tmp_path)

    def inspect(*arguments: str | Path) -> tuple[int, str, str]:
        code = run(["inspect", *map(str, arguments)])
        out, err = capsys.readouterr()
        told = [line for line in err.splitlines(True) if "getting ready" not in line]
        return code, out, "".join(told)

    return inspect


def test_a_page_is_written_and_its_size_and_cost_are_told(call, model):
    code, out, err = call(model, "--live", "a.html", "--text", TEXT)

    assert (code, out) == (0, "a.html\n")
    assert Path("a.html").read_text().startswith("<!doctype html>")
    size, cost = err.splitlines()
    assert re.fullmatch(r"charrnn: a\.html: 0\.\d\d MB", size)
    number = r"\d+\.\d{4}"
    wanted = (
        rf"charrnn: a\.html: weights as float16: {number} bits per character instead "
        rf"of {number}, on the text, of which {len(TEXT)} characters were read"
    )
    assert re.fullmatch(wanted, cost)


def test_the_page_names_the_checkpoint_without_its_directory(call, model):
    call(model, "--live", "a.html", "--text", TEXT)

    page = Path("a.html").read_text()
    assert f"<h1>{model.name}</h1>" in page
    assert str(model.parent) not in page


def test_without_a_text_the_model_writes_one_to_compare(call, model):
    _, _, err = call(model, "--live", "a.html", "--live-precision", "int8")

    assert "weights as int8" in err
    assert "on a text that the model wrote" in err


def test_float32_costs_nothing(call, model):
    _, _, err = call(model, "--live", "a.html", "--live-precision", "float32")

    assert len(err.splitlines()) == 1


def test_fewer_bits_make_smaller_pages(call, tmp_path):
    large = write_checkpoint(tmp_path / "large.npz", hidden=64)
    for precision in ("float32", "float16", "int8"):
        call(large, "--live", precision, "--live-precision", precision)
    sizes = [Path(name).stat().st_size for name in ("float32", "float16", "int8")]

    assert sizes[0] > sizes[1] > sizes[2]


def test_a_network_of_256_units_makes_a_page_of_at_most_1_1_mb(call, tmp_path):
    text = "".join(map(chr, range(32, 97)))
    usual = write_checkpoint(
        tmp_path / "usual.npz", text, hidden=256, layers=1, norm="layer", optimizer=None
    )
    call(usual, "--live", "a.html")

    assert Path("a.html").stat().st_size < 1_100_000


def test_views_are_shown_beside_it(call, model):
    code, out, _ = call(model, "--view", "summary", "--json", "--live", "a.html")

    assert code == 0
    assert out.startswith("{")
    assert Path("a.html").exists()


def test_standard_output_can_have_it(call, model):
    code, out, err = call(model, "--live", "-")

    assert code == 0
    assert out.startswith("<!doctype html>")
    assert err.startswith("charrnn: the page: ")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--live-precision", "int8"], "--live-precision does nothing without --live"),
        (["--live", "m", "--html", "m"], "--html and --live name the same file"),
        (["--live", "-", "--json"], "--live - cannot be combined with --json"),
        (["--live", "a", "--live-precision", "half"], "--live-precision is 'half'"),
    ],
)
def test_mistakes(call, model, arguments, wanted):
    code, out, err = call(model, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith(f"charrnn: error: {wanted}")


def test_a_page_is_of_one_model(call, model):
    code, _, err = call(model, model, "--live", "a.html")

    assert code == 2
    assert "--live makes a page of one model, not of 2" in err
    assert not Path("a.html").exists()


def test_a_checkpoint_is_not_replaced(call, model):
    before = model.read_bytes()
    code, _, err = call(model, "--live", model)

    assert code == 2
    assert "is also read" in err
    assert model.read_bytes() == before


def test_a_text_must_be_known(call, model):
    code, _, err = call(model, "--live", "a.html", "--text", "Q")

    assert code == 4
    assert "--unknown skip" in err
    assert not Path("a.html").exists()
