"""Texts on their way along a pattern: what may come next, and where each ends."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.arrays import Ids
from charrnn.counting import plural
from charrnn.errors import VocabError, field
from charrnn.kernels.filters import Pattern
from charrnn.patterns import FAR, Automaton, kept_to

#: Characters that a text without a limit may still have.
NO_LIMIT = 2**62


class Course:
    """The states that texts may go through, for one model and its filters.

    Parameters
    ----------
    automaton : Automaton
    allowed : (V,) bool array
        Which characters may come at all.
    newline : int, optional
        The character that ends a text that may end, where it may not come itself.

    Raises
    ------
    VocabError
        No text of the characters that are allowed matches.
    """

    def __init__(
        self, automaton: Automaton, allowed: NDArray[np.bool_], newline: int | None
    ) -> None:
        self.automaton = following, distance = kept_to(automaton, allowed)
        reached = np.where(following >= 0, distance[following], FAR)
        self.nearest = reached.min(axis=1).astype(np.int32)
        self.end = -1 if newline is None else newline

    def check_length(self, length: int) -> None:
        """Raise `VocabError` if no text of at most so many characters matches."""
        least = int(self.automaton.distance[0])
        if 0 <= length < least:
            which = f"the shortest text that matches has {plural(least, 'character')}"
            msg = f"{field('pattern')}: nothing is possible, for {which}"
            raise VocabError(msg, hint=f"give {field('length', least)}, or more")

    def of_rows(self, walks: "Sequence[Walk | None]") -> Pattern:
        """Give what kernels follow, with the states of some texts."""
        states = [-1 if walk is None else walk.state for walk in walks]
        left = [0 if walk is None else walk.left for walk in walks]
        following, distance = self.automaton
        return Pattern(
            following=following,
            distance=distance,
            nearest=self.nearest,
            end=self.end,
            states=np.array(states, np.int32),
            left=np.array(left, np.int64),
            row=np.zeros(1, np.int64),
        )


class Walk:
    """One text on its way.

    Parameters
    ----------
    course : Course
    length : int
        Characters of the text, at most; below 0 for no limit.

    Attributes
    ----------
    state : int
        Of the course; -1 where the text has ended.
    left : int
        Characters that it may still have.
    complete : bool
        Whether it has ended as the pattern has it, and not for its length.
    """

    def __init__(self, course: Course, length: int) -> None:
        self._course = course
        self.state = 0
        self.left = NO_LIMIT if length < 0 else length
        self.complete = False
        course.check_length(length)
        self._end_if_nothing_follows()

    @property
    def ended(self) -> bool:
        """Whether nothing follows any more."""
        return self.state < 0

    def take(self, ids: Ids) -> int:
        """Go on, and say how many of some characters belong to the text."""
        following = self._course.automaton.following
        for place, chosen in enumerate(ids.tolist()):
            if self.ended:
                return place
            self.state = behind = following.item(self.state, chosen)
            if behind < 0:  # the newline that ends it
                self.complete = True
                return place
            self.left -= 1
            self._end_if_nothing_follows()
        return len(ids)

    def _end_if_nothing_follows(self) -> None:
        """End the text where no further character can come."""
        nearest = self._course.nearest.item(self.state)
        if nearest >= min(self.left, FAR):
            self.state, self.complete = -1, nearest == FAR
