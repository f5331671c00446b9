"""What of a text a view does not show or read: said once, below the views."""

from typing import TYPE_CHECKING

from charrnn.cli.blending import UNFINISHED
from charrnn.cli.notes import Notes

if TYPE_CHECKING:
    from charrnn.inspection.inspected import Inspected, InspectedCheckpoint
    from charrnn.inspection.view import Extent


class Limits:
    """Notes about limits, gathered while views are made."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._lines: list[str] = []

    def note_view(
        self, name: str, extent: "Extent", total: int, *, listed: bool = True
    ) -> None:
        """Note what of a text of so many characters is not shown, or not read.

        Parameters
        ----------
        listed : bool
            Whether characters are shown one by one; a page has them elsewhere.
        """
        shown, measured = extent.shown, extent.measured
        of = total if extent.total is None else extent.total
        called, by = extent.called, " counts their characters, and"
        if called is None:
            called, by = "characters", ""
        listed = listed or extent.called is not None
        if listed and shown is not None and shown < of:
            self._lines.append(
                f"{name} shows the {extent.end} {shown:,} of {of:,} {called}; "
                f"--max-chars{by} 0 shows all"
            )
        if measured is not None and measured < total:
            self._lines.append(
                f"{name} is about the first {measured:,} of {total:,} characters"
            )

    def note_unread(self, checkpoint: "Inspected", *, decodes: bool = False) -> None:
        """Note what of the text is left out: empty lines, and what is not known.

        Parameters
        ----------
        decodes : bool
            Whether a view compares outputs that are written with those of the text.
        """
        from charrnn.pairs import note_blank  # imports NumPy

        if checkpoint.of_pairs and checkpoint.options.text is not None:
            self._lines += note_blank(checkpoint.options.text.blank)
        if checkpoint.out_of_vocabulary:
            skipped = checkpoint.options.unknown == "skip"
            self._lines.append(
                f"{'skipped' if skipped else 'replaced'} what the model does not know: "
                f"{checkpoint.out_of_vocabulary:,} of the text's characters"
            )
            if decodes and checkpoint.of_pairs:
                self._lines.append("a wanted output with one of them is never right")

    def note_unfinished(self) -> None:
        """Note that a run has not come to its end, where its text is counted."""
        self._lines.append(UNFINISHED)

    def note_page(self, shown: int | None, checkpoint: "InspectedCheckpoint") -> None:
        """Note how much of the text a page has room for, if it shows any."""
        total = checkpoint.characters
        if shown is None or shown == total:
            return
        if checkpoint.options.max_chars is None:
            more = "--max-chars 0 shows as many as it can hold"
        else:
            more = "--layer and --signal leave room for more"
        self._lines.append(
            f"the page shows the first {shown:,} of {total:,} characters; {more}"
        )

    def tell(self) -> None:
        """Say once what was noted, below what it is about."""
        for note in dict.fromkeys(self._lines):
            self._notes.say(f"note: {note}")
        self._lines.clear()
