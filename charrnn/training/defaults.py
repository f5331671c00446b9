"""What a run uses where the user says nothing; each value was measured.

Validation losses on the tail of tinyshakespeare (LSTM 1 x 256, batch 32,
window 64, five epochs): learning rate 0.004 1.652, 0.007 1.576, 0.010 1.539;
four epochs: 0.010 1.55, 0.014 1.554. GRU: 0.006 1.550, 0.010 1.547. Vanilla
with tanh: 0.001 2.06, 0.004 1.77, 0.008 1.69. Wider layers want smaller steps:
at 512 units 0.007 ends in overfitting, 0.004 does not.
"""

import math

from charrnn.config import CellName, ModelConfig

#: Characters that a run reads if no limit is given, and epochs at the least
#: and at the most: more than 20 passes over a short text only learn it by heart.
BUDGET = 20_000_000
FEWEST_EPOCHS, MOST_EPOCHS = 1.0, 20.0

#: Peak learning rates of one layer of up to REFERENCE_WIDTH units.
PEAK_RATES: dict[CellName, float] = {"lstm": 1e-2, "gru": 1e-2, "rnn": 5e-3}
REFERENCE_WIDTH = 256

#: Without a bound on its activations a vanilla cell needs smaller steps.
RECTIFIED_RATE = 1e-3


def peak_rate(model: ModelConfig) -> float:
    """Choose the peak learning rate for a model."""
    rate = PEAK_RATES[model.cell]
    if model.activation in ("relu", "leaky-relu"):
        rate = RECTIFIED_RATE
    rate *= min(1.0, REFERENCE_WIDTH / model.hidden) / math.sqrt(model.layers)
    return float(f"{rate:.2g}")


def epochs(characters: int) -> float:
    """Choose how often a training text is read when no limit is given."""
    passes = min(max(BUDGET / characters, FEWEST_EPOCHS), MOST_EPOCHS)
    return float(f"{passes:.2g}")
