"""Programs as WebAssembly: one module, and a script that calls it with typed arrays.

module.py    the module, with the first values of variables in a section of its own
script.py    the description of a program as JavaScript, and its types
program.mjs  what every script does: memory, checks, errors
"""

from graphc.export.wasm.module import wasm_module
from graphc.export.wasm.script import script, types

__all__ = ["script", "types", "wasm_module"]
