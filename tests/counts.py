"""Counts that go on, in words of Python: what kernels are compared with."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.memory import Memory


class Dictionaries:
    """The same model in words of Python: every count stands under its n-gram."""

    def __init__(self, counted: Memory) -> None:
        self.V, self.order = counted.vocab_size, counted.order
        self.newline = counted.newline
        self.counts: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
        self.trained, self.read = set[tuple[int, ...]](), set[tuple[int, ...]]()
        self.D = counted.tables.discounts
        read = [counted.before]
        for symbol in counted.ids.tolist():
            self.count(read, symbol, 1)
            read.append(symbol)
        self.trained, self.read = self.read, set()

    def contexts(self, read: list[int]) -> list[tuple[int, ...]]:
        """Those of a place, from the longest to the empty one."""
        longest = len(read)
        for back, symbol in enumerate(reversed(read), 1):
            if symbol == self.newline:
                longest = min(longest, back)
        longest = min(longest, self.order - 1)
        return [tuple(read[len(read) - k :]) for k in range(longest, -1, -1)]

    def count(self, read: list[int], symbol: int, weight: int) -> None:
        for context in self.contexts(read):
            counts = self.counts[context]
            self.read.add(context)
            counts[symbol] = counts.get(symbol, 0) + weight
            if counts[symbol] > weight:
                break

    def share(self, read: list[int], share: float) -> float:
        """Find the network's share at a place."""
        longest = []
        for known in (self.read, self.trained):
            found = [len(c) for c in self.contexts(read) if c in known]
            longest.append(max(found, default=0))
        return share / (1 + max(0, longest[0] - longest[1]))

    def row(self, read: list[int]) -> NDArray[Any]:
        p = np.full(self.V, 1 / self.V)
        for k, context in enumerate(reversed(self.contexts(read))):
            if counts := self.counts.get(context):
                D, total = self.D[k], sum(counts.values())
                p *= sum(D[min(n, 3)] for n in counts.values()) / total
                for symbol, n in counts.items():
                    p[symbol] += (n - D[min(n, 3)]) / total
        return p
