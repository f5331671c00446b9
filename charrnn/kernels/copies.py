"""Finding what stands in a text: fingerprints of n-grams, and what follows them.

A fingerprint is a polynomial in two bases modulo two primes below 2**31, in
one integer: two different n-grams have the same one with a probability of
about 2**-62, and that would forbid one character too many. Moving on by one
character costs the same for any n (Karp & Rabin 1987).
"""

from charrnn.arrays import Ids, Longs
from charrnn.kernels.jit import jit

_PRIME_1, _PRIME_2 = 2_147_483_647, 2_147_483_629
_BASE_1, _BASE_2 = 1_000_003, 1_299_721

#: Where an n-gram holds something that is no character of the vocabulary.
UNKNOWN = -1


@jit
def fingerprint(ids: Ids) -> int:
    """Fingerprint of some characters (n,); UNKNOWN if an id is below 0."""
    one, two = 0, 0
    for i in range(ids.size):
        if ids[i] < 0:
            return UNKNOWN
        one = (one * _BASE_1 + int(ids[i]) + 1) % _PRIME_1
        two = (two * _BASE_2 + int(ids[i]) + 1) % _PRIME_2
    return one * 2**31 + two


@jit(parallel=False)
def fingerprint_all(ids: Longs, n: int, out: Longs) -> None:
    """Fingerprints of all n-grams of a text.

    Parameters
    ----------
    ids : (N,) array
        Below 0 for what is no character of the vocabulary.
    n : int
        At least 1, at most N.
    out : (N - n + 1,) array
        Written.
    """
    one, two, lead_1, lead_2 = 0, 0, 1, 1
    for _ in range(n):
        lead_1, lead_2 = lead_1 * _BASE_1 % _PRIME_1, lead_2 * _BASE_2 % _PRIME_2
    unknown = -1  # where one was last
    for i in range(ids.size):
        new = int(ids[i]) + 1 if ids[i] >= 0 else 0
        old = int(ids[i - n]) + 1 if i >= n and ids[i - n] >= 0 else 0
        one = (one * _BASE_1 + new - old * lead_1 % _PRIME_1) % _PRIME_1
        two = (two * _BASE_2 + new - old * lead_2 % _PRIME_2) % _PRIME_2
        if ids[i] < 0:
            unknown = i
        if i >= n - 1:
            out[i - n + 1] = one * 2**31 + two if unknown <= i - n else UNKNOWN


@jit
def first_at(sorted_values: Longs, value: int) -> int:
    """Find the first place whose value is not below `value`, by bisection."""
    low, high = 0, sorted_values.size
    while low < high:
        middle = (low + high) // 2
        if sorted_values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
