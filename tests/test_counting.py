"""Numbers of things, in words."""

from charrnn.counting import plural


def test_one_and_many() -> None:
    assert (plural(1, "line"), plural(0, "line")) == ("1 line", "0 lines")
    assert plural(2000, "new character") == "2,000 new characters"
    assert (plural(1.0, "epoch", "g"), plural(0.5, "epoch", "g")) == (
        "1 epoch",
        "0.5 epochs",
    )
