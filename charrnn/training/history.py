"""The metric history of a run, kept short however long the run is.

Rows of the training loss are means over an interval of steps. When there are
too many, every other one goes and the interval doubles; rows of evaluations
stay. All of it depends on steps alone, so that a history does not depend on
the clock, on what is displayed, or on where a run was resumed.
"""

from charrnn.checkpoint import Row, TrainingState, thinned
from charrnn.pairs import Accuracy
from charrnn.training.trainer import Result

#: Rows of the training loss that are kept at most, and steps a row at first: a
#: float, as a checkpoint gives it back.
MAX_ROWS = 1000
FIRST_INTERVAL = 10.0

#: Weight of the newest window in the running mean loss.
NEWEST = 0.02


class History:
    """Rows of metrics; what lies between two rows is kept in the position.

    Parameters
    ----------
    rows : list of Row
        Those of the run so far; changed.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows

    def add_step(
        self, position: TrainingState, epochs: float, result: Result
    ) -> float | None:
        """Take one step in, and return the running mean loss, if there is one yet.

        A step whose window has no target counts in no mean.

        Parameters
        ----------
        position : TrainingState
            After the step; its ``recent`` averages are updated.
        """
        recent = position.recent
        if result.loss is not None:
            mean = recent.get("loss", result.loss)
            recent["loss"] = mean + NEWEST * (result.loss - mean)
            recent["losses"] = recent.get("losses", 0.0) + result.loss
            recent["norms"] = recent.get("norms", 0.0) + result.grad_norm
            recent["steps"] = recent.get("steps", 0.0) + 1
        interval = recent.setdefault("interval", FIRST_INTERVAL)
        if position.step % interval == 0:
            self._close_interval(position, epochs, result.lr)
        return recent.get("loss")

    def _close_interval(
        self, position: TrainingState, epochs: float, lr: float
    ) -> None:
        """Write the means since the last row down, and make room if need be.

        Where no step had a target there is nothing to write.
        """
        recent = position.recent
        steps = recent.get("steps", 0.0)
        if not steps:
            return
        self.rows.append(
            {
                "step": position.step,
                "epoch": epochs,
                "loss": recent["losses"] / steps,
                "lr": lr,
                "grad_norm": recent["norms"] / steps,
            }
        )
        recent.update(losses=0.0, norms=0.0, steps=0.0)
        plain = [row for row in self.rows if "val_loss" not in row]
        if len(plain) >= MAX_ROWS:
            interval = recent["interval"] = recent["interval"] * 2
            self.rows[:] = [
                row
                for row in self.rows
                if "val_loss" in row or (row["step"] or 0) % interval == 0
            ]

    def add_evaluation(
        self,
        step: int,
        epochs: float,
        val_loss: float,
        accuracy: Accuracy | None = None,
    ) -> None:
        """Write one pass over the held-out text down."""
        row: Row = {"step": step, "epoch": epochs, "val_loss": val_loss}
        if accuracy is not None:
            row |= accuracy._asdict()
        self.rows.append(row)
        # Here, as a file would: a run that is resumed from it goes on the same.
        self.rows[:] = thinned(self.rows)

    def evaluation_at(self, step: int) -> float | None:
        """Find what the held-out text scored at a step, if that is known."""
        return self._evaluated(step).get("val_loss")

    def accuracy_at(self, step: int) -> Accuracy | None:
        """Find how many outputs were right at a step, if that is known."""
        row = self._evaluated(step)
        exact, error_rate = row.get("exact"), row.get("error_rate")
        if exact is None or error_rate is None:
            return None
        return Accuracy(exact, error_rate)

    def _evaluated(self, step: int) -> Row:
        """Find the row of an evaluation; an empty one where there was none."""
        rows = (row for row in reversed(self.rows) if row["step"] == step)
        return next((row for row in rows if "val_loss" in row), {})

    def cut(self, step: int) -> None:
        """Forget what came after a step that the run was rolled back to."""
        self.rows[:] = [row for row in self.rows if (row["step"] or 0) <= step]
