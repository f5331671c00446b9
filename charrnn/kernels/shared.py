"""Parts that are compiled once, and called by every kernel that needs them.

Numba puts the code of a compiled function into each function that calls it, and
optimizes it there again, level by level, and for every cell anew. Here a caller has
nothing of a part but its name. The part is compiled, or read from the cache, before
its callers are, and the linker is told where it stands.

Only kernels without a ``prange`` may call a part: of a parallel loop, which Numba
compiles by itself, what is kept does not tell which parts it needs, and the next
process crashed.

So there is one copy of a part in a process, and its results do not depend on who
calls it. A call costs some nanoseconds more than a part in its caller's code: what is
called for single numbers is inlined instead (`charrnn.kernels.jit`).

What a caller keeps in the cache names the parts that it calls, and they are there
again before it is linked: Numba runs what a library has in ``_reload_init`` before it
is read, as it starts the threads of parallel kernels. A part has its name from its
source's and the types that it is compiled for, and not from Numba's, which counts
functions as they come: so a caller can be kept longer than the part that it was
compiled with.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar, overload

import llvmlite.binding as llvm
from numba import types
from numba.core import cgutils
from numba.core import config as numba_config
from numba.core.errors import LoweringError
from numba.extending import lower_builtin, type_callable

from charrnn.kernels.jit import compiled_as, jit
from charrnn.kernels.libraries import PARALLEL_LOOP

P = ParamSpec("P")
R = TypeVar("R")

#: Compiled parts by their names.
_parts: dict[str, Any] = {}


@dataclass(frozen=True)
class _Part:
    """A part as it is compiled for some types: what its callers need of it."""

    name: str
    arguments: tuple[Any, ...]  # Numba's types

    def compiled(self) -> Any:
        """Compile it, or find it in the cache."""
        compiled = _parts[self.name]
        compiled.compile(self.arguments)
        return compiled.overloads[self.arguments]

    @property
    def symbol(self) -> str:
        """What the linker calls it."""
        digest = hashlib.sha256(repr(self.arguments).encode()).hexdigest()
        return f"{self.name}.{digest[:16]}"

    def __call__(self) -> None:
        """Make sure that its callers can be linked."""
        found = self.compiled()
        address = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
        llvm.add_symbol(self.symbol, address)


@overload
def shared(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def shared(*, allocates: bool) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def shared(
    function: Callable[P, R] | None = None, /, *, allocates: bool = False
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function once for all kernels that call it, and for Python.

    Kernels give it all its arguments, by their places.

    Parameters
    ----------
    function : callable
        Of arrays, NamedTuples of arrays and numbers, at the top of its module.
    allocates : bool
        Whether it makes arrays; see `jit`.
    """
    if function is not None:
        return _shared(function, allocates=False)
    return lambda function: _shared(function, allocates=allocates)


def _shared(function: Callable[P, R], *, allocates: bool) -> Callable[P, R]:
    """See `shared`."""
    by_itself = jit(parallel=False, allocates=allocates)(function)
    if numba_config.DISABLE_JIT:
        return by_itself
    name = f"{function.__module__}.{function.__qualname__}"
    _parts[name] = compiled_as(
        f"part_{function.__qualname__}",
        function,
        parallel=False,
        cached=True,
        for_python=False,
        allocates=allocates,
    )

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        return by_itself(*args, **kwargs)

    def part_for(arguments: tuple[Any, ...]) -> _Part:
        return _Part(name, tuple(types.unliteral(each) for each in arguments))

    @type_callable(called)  # type: ignore[untyped-decorator]
    def of_types(context: Any) -> Any:
        def resulting(*arguments: Any) -> Any:
            return part_for(arguments).compiled().signature.return_type

        # Numba asks for this before it looks at the function's own parameters.
        typer: Any = resulting
        typer.pysig = signature(function)
        return typer

    @lower_builtin(called, types.VarArg(types.Any))  # type: ignore[untyped-decorator]
    def emit(context: Any, builder: Any, resolved: Any, args: Any) -> Any:
        if PARALLEL_LOOP in builder.function.name:
            msg = f"{name} is called by a parallel loop, which could not be kept"
            raise LoweringError(msg)
        part = part_for(resolved.args)
        part()
        context.active_code_library._reload_init.add(part)
        described = part.compiled().fndesc
        result, operands = described.restype, described.argtypes
        kind = context.call_conv.get_function_type(result, operands)
        callee = cgutils.get_or_insert_function(builder.module, kind, part.symbol)
        call = context.call_conv.call_function
        status, found = call(builder, callee, result, operands, args)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return found

    return called
