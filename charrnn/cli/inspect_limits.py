"""What of a text a view does not show or read: said once, below the views."""

from typing import TYPE_CHECKING, Any

from charrnn.cli.notes import Notes
from charrnn.config import UnknownPolicy

if TYPE_CHECKING:
    from charrnn.inspection.subject import Subject


class Limits:
    """Notes about limits, gathered while views are made."""

    def __init__(self, notes: Notes, unknown: UnknownPolicy) -> None:
        self._notes = notes
        self._unknown = unknown
        self._lines: list[str] = []

    def note_view(
        self, name: str, subject: "Subject", view: Any, *, listed: bool = True
    ) -> None:
        """Note what of the text is not shown, or not read.

        Parameters
        ----------
        listed : bool
            Whether its characters are shown one by one; a page has them elsewhere.
        """
        total = subject.characters
        if listed and name in ("surprise", "next", "neurons"):
            shown = shown_characters(name, view, total)
            if shown < total:
                end = "last" if name == "next" else "first"
                self._lines.append(
                    f"{name} shows the {end} {shown:,} of {total:,} characters; "
                    "--max-chars 0 shows all"
                )
        if name in ("neurons", "gates", "memory", "diversity"):
            read = read_characters(name, view)
            if read < total:
                self._lines.append(
                    f"{name} is about the first {read:,} of {total:,} characters"
                )

    def note_strangers(self, subject: "Subject") -> None:
        """Note what of the text the model does not know."""
        if subject.strangers:
            done = "skipped" if self._unknown == "skip" else "replaced"
            self._lines.append(
                f"{done} what the model does not know: "
                f"{subject.strangers:,} of the text's characters"
            )

    def note_page(self, shown: int | None, subject: "Subject") -> None:
        """Note how much of the text a page has room for, if it shows any."""
        total = subject.characters
        if shown is None or shown == total:
            return
        if subject.settings.max_chars is None:
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


def shown_characters(name: str, view: Any, total: int) -> int:
    """Count the characters that a view gives one by one."""
    if name == "next":
        return len(view.positions)
    # Rows that are made on the way end where they were told to.
    text = getattr(view, "text", None)
    return min(view.keep or total, total) if text is None else len(text)


def read_characters(name: str, view: Any) -> int:
    """Count the characters that a view's statistics are about."""
    if name == "diversity":
        count: int = view.measures.characters
        return count
    read: int = view.characters if name == "memory" else view.measured
    return read
