"""What a run uses where nothing is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import MAX_HIDDEN, MAX_LAYERS, ModelConfig, TrainConfig
from charrnn.training import defaults

pytestmark = pytest.mark.small

Cells = st.sampled_from(["rnn", "gru", "lstm"])


@given(
    cell=Cells,
    hidden=st.integers(1, MAX_HIDDEN - 1),
    layers=st.integers(1, MAX_LAYERS - 1),
)
def test_larger_networks_take_smaller_steps(
    cell: str, hidden: int, layers: int
) -> None:
    def rate(hidden: int, layers: int) -> float:
        config = ModelConfig(
            vocab_size=9,
            cell=cell,  # type: ignore[arg-type]
            hidden=hidden,
            layers=layers,
        )
        return defaults.peak_rate(config)

    assert 0 < rate(hidden + 1, layers) <= rate(hidden, layers)
    assert 0 < rate(hidden, layers + 1) <= rate(hidden, layers)
    TrainConfig(lr=rate(hidden, layers))


def test_rectified_cells_take_the_smallest_steps() -> None:
    rates = [
        defaults.peak_rate(ModelConfig(vocab_size=9, cell="rnn", activation=name))
        for name in ("tanh", "sigmoid", "relu", "leaky-relu")
    ]

    assert rates[0] == rates[1] > rates[2] == rates[3]


@given(characters=st.integers(1, 10**10))
def test_short_texts_are_read_more_often(characters: int) -> None:
    epochs = defaults.epochs(characters)

    assert defaults.FEWEST_EPOCHS <= epochs <= defaults.MOST_EPOCHS
    assert epochs >= defaults.epochs(characters + 1)
    if defaults.FEWEST_EPOCHS < epochs < defaults.MOST_EPOCHS:
        assert epochs * characters == pytest.approx(defaults.BUDGET, rel=0.06)
