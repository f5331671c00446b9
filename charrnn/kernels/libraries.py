"""Code that is optimized and translated once, by whoever needs it in the end.

Numba has a *library* for every function: LLVM's code of it, with that of all that it
calls linked in. Each library is optimized as a whole and translated to machine code
as soon as it is complete, and then linked into the libraries of its callers, which
are optimized and translated as a whole again. So a loop over several threads, which
has three libraries of its own below that of its kernel, went four times through the
optimizer, and so did every part that such a kernel calls, once for every level above
it: two thirds of the time that compiling took.

Here a library that is linked into others is prepared for that and no more. Only that
of whom somebody asks an address for, a kernel that Python calls or a part that the
linker knows by name (`charrnn.kernels.shared`), is optimized and translated.

What is kept in the cache of a part is therefore LLVM's code; of a kernel, the
processor's. A part that the linker knows by name is kept as the processor's code, too.
As LLVM's, every process would translate it again, which took 0.4 of the 1.25 s of a
command that writes 200 characters.

This stands on `JITCodeLibrary`, on what a code generator's ``_library_class`` says and
on the option ``_nrt``, which are the same in Numba 0.66.0, 0.67.0 and 0.68.1. Other
functions of Numba in this process have libraries as they always had.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import lookup_environment
from numba.core.errors import LoweringError
from numba.core.registry import CPUDispatcher, cpu_target

from charrnn.kernels.keeping import KernelCache

#: In the names that Numba gives to the bodies of parallel loops.
PARALLEL_LOOP = "__numba_parfor_gufunc"

#: In the names of the libraries that Numba puts between such a body and its kernel.
WRAPPER = re.compile("GufuncWrapper|parallelgufuncwrapper")

#: What the variables begin with that say where a function finds its constants.
ENVIRONMENT = "_ZN08NumbaEnv"


class LateLibrary(JITCodeLibrary):  # type: ignore[misc]  # Numba has no types
    """A library that becomes machine code when somebody asks for an address in it."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._late = True  # whether nobody has asked yet
        self._optimized = False

    def get_pointer_to_function(self, name: str) -> int:
        """Find where a function begins; 0 if it is not in this library."""
        if self._late and self._defines(name):
            if PARALLEL_LOOP in self.name:
                # Numba asks, but nobody calls it.
                return 0
            self._late = False
            if self._finalized:
                self._translate()
        return int(super().get_pointer_to_function(name))

    @property
    def codegen(self) -> Any:
        """Whom Numba tells where a function finds its constants; see `set_env`."""
        return self if self._late else self._codegen

    def set_env(self, name: str, environment: object) -> None:
        """Let it be: there is no machine code to be told yet."""

    def serialize_using_object_code(self) -> tuple[str, str, Any]:
        """Take apart for the cache: into machine code, or else into LLVM's."""
        self._ensure_finalized()
        if self._late:
            return self.serialize_using_bitcode()
        return super().serialize_using_object_code()

    def _defines(self, name: str) -> bool:
        try:
            return not self._final_module.get_function(name).is_declaration
        except NameError:
            return False

    def _optimize_final_module(self) -> None:
        """Optimize the library, unless it is one around a parallel loop.

        A part is optimized by itself, before its callers are, which decides on the
        last bit of its sums.
        """
        if self._late and (PARALLEL_LOOP in self.name or WRAPPER.search(self.name)):
            return
        if not self._optimized:
            super()._optimize_final_module()
            self._optimized = True

    def _finalize_final_module(self) -> None:
        """Close the library, and make it usable if its machine code is there."""
        if self._object_caching_enabled and self._compiled_object is not None:
            self._late = False
        if self._late:
            self._finalize_dynamic_globals()
            self._verify_declare_only_symbols()
            self._finalized = True
        else:
            super()._finalize_final_module()

    def _translate(self) -> None:
        """Make machine code of a library that is closed."""
        self._optimize_final_module()
        self._final_module.verify()
        self._finalize_final_module()
        # Functions are told by Numba where they find their constants when they are
        # compiled, which for these was too early.
        for variable in self._final_module.global_variables:
            if variable.name.startswith(ENVIRONMENT):
                environment = lookup_environment(variable.name)
                if environment is not None:
                    self._codegen.set_env(variable.name, environment)


@contextlib.contextmanager
def late_libraries() -> Iterator[None]:
    """Let what Numba compiles inside be translated when it is needed."""
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        before = codegen.__dict__.get("_library_class")
        codegen._library_class = LateLibrary
        try:
            yield
        finally:
            if before is None:
                del codegen._library_class
            else:
                codegen._library_class = before


class Kernel(CPUDispatcher):  # type: ignore[misc]
    """A function that is compiled by the types of what it is called with."""

    def compile(self, signature: Any) -> Any:
        """Compile it for some types, unless it is; inside `noted`, note the wish.

        Raises
        ------
        LoweringError
            It returns arrays, whose references its callers may not count as it does.
        """
        if _noted is not None:
            _noted.append(Wanted(self, tuple(signature)))
            return _do_nothing
        with late_libraries():
            return super().compile(signature)

    def add_overload(self, compiled: Any) -> None:
        """Take a compiled form in, translated: so it is kept as machine code."""
        _refuse_arrays(self, compiled)
        name = compiled.fndesc.llvm_func_name
        compiled.library.get_pointer_to_function(name)
        super().add_overload(compiled)

    @property
    def can_be_kept(self) -> bool:
        """Whether other processes can have what this one compiles."""
        return isinstance(self._cache, KernelCache)

    def is_kept(self, signature: tuple[Any, ...]) -> bool:
        """Tell whether the cache has it for some types."""
        return self.can_be_kept and self._cache.holds(signature, self.targetctx)


def _refuse_arrays(kernel: Kernel, compiled: Any) -> None:
    """Raise for what returns anything but numbers, and tuples of them."""
    if not _is_of_numbers(compiled.signature.return_type):
        name = kernel.py_func.__qualname__
        msg = f"{name} returns arrays: it must be inlined_early"
        raise LoweringError(msg)


def _is_of_numbers(kind: Any) -> bool:
    """Tell whether values of one of Numba's types have no references in them."""
    if isinstance(kind, types.BaseTuple):
        return all(_is_of_numbers(each) for each in kind)
    if isinstance(kind, types.Optional):
        return _is_of_numbers(kind.type)
    return isinstance(kind, types.Number | types.Boolean | types.NoneType)


@dataclass(frozen=True)
class Wanted:
    """A kernel that somebody is about to call, and the types of what with."""

    kernel: Kernel
    signature: tuple[Any, ...]  # Numba's types

    @property
    def name(self) -> str:
        """Module and name of the kernel, without the package."""
        function = self.kernel.py_func
        return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    @property
    def key(self) -> str:
        """What it is called in every process: its name and a digest of the types."""
        digest = hashlib.sha256(repr(self.signature).encode()).hexdigest()
        return f"{self.name}.{digest[:16]}"

    @property
    def is_kept(self) -> bool:
        """Whether another process has compiled it."""
        return self.kernel.is_kept(self.signature)

    def compile(self) -> None:
        """Compile it, or load it from the cache."""
        self.kernel.compile(self.signature)


#: Where wishes are noted, inside `noted`.
_noted: list[Wanted] | None = None


def _do_nothing(*_: object, **__: object) -> bool:
    """Stand for a kernel that is noted; what says whether it went well says so."""
    return True


@contextlib.contextmanager
def noted() -> Iterator[list[Wanted]]:
    """Note which kernels would be compiled inside; those do nothing, and say so.

    For whoever is alone with the kernels, as a process is that has just begun. What
    is computed inside is of no use.
    """
    global _noted
    found: list[Wanted] = []
    _noted = found
    try:
        yield found
    finally:
        _noted = None


class Part(Kernel):
    """A function that kernels have linked into them, so that it needs no address.

    Python calls a kernel of the same source in its place.

    Parameters
    ----------
    py_func : callable
    targetoptions : dict
        Numba's.
    by_itself : Kernel
    """

    def __init__(
        self, py_func: Any, targetoptions: dict[str, Any], by_itself: Kernel
    ) -> None:
        wrapped = {"no_cpython_wrapper": True}
        super().__init__(py_func, targetoptions=targetoptions | wrapped)
        self.by_itself = by_itself

    def add_overload(self, compiled: Any) -> None:
        """Take a compiled form in as LLVM's code: callers are translated with it."""
        _refuse_arrays(self, compiled)
        CPUDispatcher.add_overload(self, compiled)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it from Python."""
        return self.by_itself(*args, **kwargs)
