"""The script of a module: a description of the program as JavaScript, what every script does, and types for TypeScript."""

from __future__ import annotations

import json
from pathlib import Path

from graphc.export.c.interface import STATUS, Interface, Member
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Program
from graphc.ir.signature import Argument, size_rules
from graphc.ir.types import TensorType

COMMON = Path(__file__).with_name("program.mjs")
ARRAYS = {
    "bool": "Uint8Array", "int8": "Int8Array", "int16": "Int16Array", "int32": "Int32Array", "int64": "BigInt64Array",
    "uint8": "Uint8Array", "uint16": "Uint16Array", "uint32": "Uint32Array", "uint64": "BigUint64Array",
    "float16": "Uint16Array", "bfloat16": "Uint16Array", "float32": "Float32Array", "float64": "Float64Array",
}  # fmt: skip


def script(face: Interface, program: Program, weights: str | None) -> str:
    """The module of JavaScript that loads and calls the module of WebAssembly."""
    named = dict(face.sizes)
    flat = [Argument(m.name, TensorType(m.type.dtype, (dims.product(m.type.shape),))) for m in face.inputs]
    lines = [f"// {face.name}: written by graphc. It calls {face.name}.wasm with typed arrays, in node and in browsers.", ""]
    lines += ["const PROGRAM = {", f"  name: {_text(face.name)},", f"  sizes: {_text(list(named.values()))},"]
    lines.append("  rules: [")  # of counts, since typed arrays have no axes
    for rule in size_rules(flat):
        size, count = _text(named[rule.name]), _js(rule.size, named)
        lines.append(f"    {{ size: {size}, input: {_text(rule.input)}, count: s => {count} }},")
    lines += ["  ],", "  requirements: ["]
    for r in program.signature.requirements:
        relation = "===" if r.relation == "==" else r.relation
        test = f"({_js(r.left, named)}) {relation} ({_js(r.right, named)})"
        lines.append(f"    {{ holds: s => {test}, text: {_text(f'{r.message}: {r.left} {r.relation} {r.right}')} }},")
    lines.append("  ],")
    for group, members in face.groups:
        lines.append(f"  {group}: [")
        lines += [f"    {_member(m, named)}," for m in members]
        lines.append("  ],")
    lines.append(f"  weights: {_text(weights)},")
    status = [[code, why.format(name=face.name)] for code, why in STATUS]
    lines += [f"  status: {_text(status)},", "};", ""]
    return "\n".join(lines) + COMMON.read_text()


def _member(m: Member, named: dict[str, str]) -> str:
    axes = ", ".join(_js(n, named) for n in m.type.shape)
    wanted = f"{m.type.dtype.name}[{', '.join(map(str, m.type.shape))}]"
    return f"{{ name: {_text(m.name)}, type: {_text(m.type.dtype.name)}, text: {_text(wanted)}, shape: s => [{axes}] }}"


def _text(value: object) -> str:
    return json.dumps(value)


def _js(size: Size, named: dict[str, str]) -> str:
    """A size as an expression of `s`, which has the symbolic ones."""
    if isinstance(size, int):
        return str(size)
    text = ""
    for monomial, factor in size.terms:
        parts = [_atom(a, named) for a in monomial]
        if abs(factor) != 1 or not monomial:
            parts.insert(0, str(abs(factor)))
        text += (" - " if factor < 0 else " + ") + " * ".join(parts)
    return text.removeprefix(" + ").strip()


def _atom(atom: dims.Atom, named: dict[str, str]) -> str:
    match atom:
        case str():
            return f"s.{named[atom]}"
        case dims.FloorDiv(a, b):
            return f"Math.floor(({_js(a, named)}) / ({_js(b, named)}))"
        case dims.Max0(a):
            return f"Math.max({_js(a, named)}, 0)"


def types(face: Interface) -> str:
    """The types of the script, for TypeScript."""
    numbers = "export type Numbers = number | bigint | boolean | readonly Numbers[];"
    lines = [f"// {face.name}: written by graphc.", "", numbers, ""]
    for group, members in face.groups:
        if group == "inputs":
            lines.append("export interface Inputs {")
            lines += [f"  /** {_comment(m)} */\n  {m.name}: {ARRAYS[m.type.dtype.name]} | Numbers;" for m in members]
        else:
            lines.append(f"export interface {group.title()} {{")
            lines += [f"  /** {_comment(m)} */\n  {m.name}: {ARRAYS[m.type.dtype.name]};" for m in members]
        lines += ["}", ""]
    lines.append("/** The symbolic sizes; those that follow from the lengths of arrays need not be given. */")
    lines.append("export interface Sizes {")
    lines += [f"  {member}?: number;" for _, member in face.sizes]
    lines += [
        "}", "", "export declare class ProgramError extends Error {",
        "  /** Why: NULL_POINTER, BAD_SIZE, BAD_INPUT, NO_MEMORY, ... */",
        "  readonly code: string;", "}", "",
        "export declare class Program {", "  readonly name: string;",
        "  /** What calls read and write: reading copies, assigning writes. */", "  readonly variables: Variables;",
        "  run(inputs: Inputs, sizes?: Sizes): Outputs;",
        "  /** The shapes of outputs for sizes that are all given. */",
        "  shapes(sizes?: Sizes): Record<keyof Outputs, number[]>;",
        "  /** Give the variables the values that they had when the program was exported. */", "  reset(): void;", "}", "",
        "export declare function load(",
        "  wasm?: string | URL | ArrayBuffer | Uint8Array | WebAssembly.Module,",
        "  weights?: string | URL | ArrayBuffer | Uint8Array,",
        "): Promise<Program>;",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _comment(m: Member) -> str:
    return m.comment.replace("*/", "")
