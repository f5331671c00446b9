"""The forms of products in bfloat16 that tests can have here."""

from numba import config as numba_config

from charrnn.processors import instructions, tiles_allowed

#: The emulation, and whatever the processor has. Without the JIT nothing is emitted.
FORMS = ["emulated"]
if not numba_config.DISABLE_JIT and "avx512bf16" in instructions():
    FORMS.append("avx512")
    if "amx-bf16" in instructions() and tiles_allowed():
        FORMS.append("amx")
