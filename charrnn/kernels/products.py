"""What a network's matrix products are made of: its own type, or bfloat16.

A network has one `Products`, and makes, fills and reads its packed weights through it.
Which one it was shows in the panels' type, by which kernels take theirs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core import config as numba_config

from charrnn.arrays import Floats, aligned_zeros
from charrnn.kernels import bfloat16_products as narrow
from charrnn.kernels.bfloat16 import round_all, widen_all
from charrnn.kernels.matmul import add_affine_gradient
from charrnn.kernels.narrow_tape import Kept
from charrnn.kernels.packing import Packed, new_packed, pack

#: Adds the gradients of z = x W^T + b; see `matmul.add_affine_gradient`. In bfloat16,
#: dz may be what `narrow_tape` has kept.
AddGradient = Callable[[Any, Floats, Floats, Floats, int], None]


class Products(NamedTuple):
    """How weights are packed, and how their gradients are added up."""

    new_packed: Callable[[int, int, Any], Packed]  # of n, K and a type
    pack: Callable[[Floats, Packed], None]  # a matrix (n, K), done once a step
    add_gradient: AddGradient

    def stack_packed(self, L: int, n: int, K: int, dtype: Any) -> Packed:
        """Make room for the panels of L matrices (n, K); see `packing.layer_of`."""
        one = self.new_packed(n, K, dtype)
        return Packed(
            *(aligned_zeros((L, *panels.shape), panels.dtype) for panels in one)
        )


#: In the type of the network: float32, or float64.
PLAIN = Products(new_packed, pack, add_affine_gradient)


def bfloat16_products(form: str) -> Products:
    """Round weights, and whatever they are multiplied by, to bfloat16.

    Parameters
    ----------
    form : str
        See `bfloat16_products`; without the JIT there is only the emulation.
    """
    if numba_config.DISABLE_JIT:
        form = "emulated"

    def new_narrow(n: int, K: int, dtype: Any) -> Packed:
        panels = narrow.new_narrow_panels
        return Packed(panels(form, K, n), panels(form, n, K))

    def pack_narrow(matrix: Floats, packed: Packed) -> None:
        narrow.pack_narrow(matrix, packed.forward, packed.backward)

    def add_gradient(
        dz: Floats | Kept, x: Floats, dW: Floats, db: Floats, workers: int
    ) -> None:
        narrow.add_narrow_gradient(form, dz, x, dW, db, workers)

    emulated = form == "emulated"
    return Products(new_narrow, pack_narrow, _add_rounded if emulated else add_gradient)


def _add_rounded(
    dz: Floats | Kept, x: Floats, dW: Floats, db: Floats, workers: int
) -> None:
    """Emulate `bfloat16_products.add_narrow_gradient` in float32."""
    wide: Floats = widen_all(dz) if dz.dtype == np.uint16 else np.ascontiguousarray(dz)
    narrow_dz, narrow_x = np.empty_like(wide), np.empty_like(x, order="C")
    round_all(wide, narrow_dz)
    round_all(np.ascontiguousarray(x), narrow_x)
    add_affine_gradient(narrow_dz, narrow_x, dW, db[:0], workers)
    if db.size:
        narrow.add_columns(wide, db, workers)
