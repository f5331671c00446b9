"""Tutorial networks as checkpoints: the same network, read by the commands."""

from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.__main__ import run
from charrnn.examples import hello
from charrnn.examples.layers import softmax
from charrnn.examples.saving import saved_as, text_model


def test_a_saved_speller_spells(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert hello.main(["--save", "hello.npz"]) == 0
    command = "charrnn inspect hello.npz --live page.html --text hell"
    assert command in capsys.readouterr().out

    assert charrnn.load("hello.npz").sample("h", length=4, temperature=0) == "ello"
    assert run(command.split()[1:]) == 0
    assert Path("page.html").read_text().startswith("<!doctype html>")


def test_it_predicts_what_its_layers_do():
    network = hello.Speller()
    network.train()
    model = text_model(network.read, network.predict, hello.LETTERS, "hello")

    found = model.surprise("hello")[1:]  # behind the first letter, which is counted
    shares = softmax(network.forward("hell")[1])
    wanted = [-np.log(shares[k, hello.LETTERS.index(c)]) for k, c in enumerate("ello")]

    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_other_arguments_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        saved_as("hello", ["hello.npz"])

    assert ended.value.code == 2
    assert "unrecognized arguments: hello.npz" in capsys.readouterr().err
