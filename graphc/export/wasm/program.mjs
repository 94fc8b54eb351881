const ARRAYS = {
  bool: Uint8Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, uint64: BigUint64Array,
  float16: Uint16Array, bfloat16: Uint16Array, float32: Float32Array, float64: Float64Array,
};
const LINE = 64, PAGE = 65536;
const up = bytes => Math.ceil(bytes / LINE) * LINE;
const product = shape => shape.reduce((a, b) => a * b, 1);

/** A call that the program cannot answer; nothing has been written. `code` says why. */
export class ProgramError extends Error {
  constructor(code, message) {
    super(`${PROGRAM.name}: ${message}`);
    this.name = "ProgramError";
    this.code = code;
  }
}

/** A program and its variables: `run` calls it. */
export class Program {
  #exports;
  #module;
  #weights;
  #held = new Map();
  #free;

  constructor(instance, module, weights) {
    this.name = PROGRAM.name;
    this.#exports = instance.exports;
    this.#module = module;
    this.#weights = weights;
    let top = up(this.#exports.__heap_base.value >>> 0);
    this.variables = {};
    for (const m of PROGRAM.variables) {
      const count = product(m.shape({})), address = top;
      top += up(count * ARRAYS[m.type].BYTES_PER_ELEMENT);
      this.#held.set(m.name, { address, count, type: ARRAYS[m.type] });
      Object.defineProperty(this.variables, m.name, {
        enumerable: true,
        get: () => this.#view(this.#held.get(m.name)).slice(),
        set: value => this.#view(this.#held.get(m.name)).set(this.#given(m, value, count)),
      });
    }
    Object.freeze(this.variables);
    this.#free = top;
    this.#reserve(top);
    this.reset();
  }

  /** Give the variables the values that they had when the program was exported. */
  reset() {
    const bytes = PROGRAM.weights === "section" ? WebAssembly.Module.customSections(this.#module, "weights")[0] : this.#weights;
    let offset = 0;
    for (const held of this.#held.values()) {
      const size = held.count * held.type.BYTES_PER_ELEMENT;
      if (bytes === undefined) {
        this.#view(held).fill(held.type.name.startsWith("Big") ? 0n : 0);
      } else {
        if (offset + size > bytes.byteLength) throw new ProgramError("BAD_WEIGHTS", "there are too few bytes of weights");
        new Uint8Array(this.#exports.memory.buffer, held.address, size).set(part(bytes, offset, size));
      }
      offset += size;
    }
  }

  /** The outputs, as typed arrays, for inputs: typed arrays, or numbers and arrays of them. */
  run(inputs, sizes = {}) {
    const arrays = {};
    for (const name of Object.keys(inputs)) {
      if (!PROGRAM.inputs.some(m => m.name === name)) throw new ProgramError("BAD_INPUT", `there is no input ${name}`);
    }
    for (const m of PROGRAM.inputs) {
      if (inputs[m.name] === undefined || inputs[m.name] === null) throw new ProgramError("NULL_POINTER", `input ${m.name} is missing`);
      arrays[m.name] = this.#given(m, inputs[m.name]);
    }
    const s = solved(arrays, sizes);
    const memory = [];
    let top = this.#free;
    const place = bytes => {
      const address = top;
      top += up(bytes);
      return address;
    };
    const members = list => list.map(m => {
      const count = product(m.shape(s));
      if (list === PROGRAM.inputs && arrays[m.name].length !== count) {
        const told = PROGRAM.sizes.map(n => `${n} = ${s[n]}`).join(", ");
        throw new ProgramError("BAD_INPUT",
          `input ${m.name} needs ${m.text}, ${count} elements${told && ` where ${told}`}, got ${arrays[m.name].length}`);
      }
      return { name: m.name, address: place(count * ARRAYS[m.type].BYTES_PER_ELEMENT), count, type: ARRAYS[m.type] };
    });
    const args = [];
    const struct = values => {
      if (values.length === 0) return;
      const address = place(4 * values.length);
      this.#reserve(top);
      new Uint32Array(this.#exports.memory.buffer, address, values.length).set(values);
      args.push(address);
    };
    struct(PROGRAM.sizes.map(n => s[n]));
    this.#answer(this.#exports[`${PROGRAM.name}_check`](...args));  // first: no array has fewer than 0 elements
    const need = this.#exports[`${PROGRAM.name}_arena_bytes`](...args) >>> 0;
    const given = members(PROGRAM.inputs), made = members(PROGRAM.outputs);
    for (const group of [given, made, [...this.#held.values()]]) struct(group.map(m => m.address));
    const arena = place(need);
    this.#reserve(top);
    for (const m of given) this.#view(m).set(arrays[m.name]);
    this.#answer(this.#exports[PROGRAM.name](...args, arena, need));
    return Object.fromEntries(made.map(m => [m.name, this.#view(m).slice()]));
  }

  /** The shapes of outputs for sizes that are all given. */
  shapes(sizes = {}) {
    return Object.fromEntries(PROGRAM.outputs.map(m => [m.name, m.shape(sizes)]));
  }

  #view({ address, count, type }) {
    return new type(this.#exports.memory.buffer, address, count);
  }

  #reserve(top) {
    const missing = Math.ceil((top - this.#exports.memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    try {
      this.#exports.memory.grow(missing);
    } catch {
      throw new ProgramError("NO_MEMORY", `it needs ${top} bytes of memory, and there are not so many`);
    }
  }

  #answer(status) {
    if (status !== 0) throw new ProgramError(...(PROGRAM.status[status] ?? ["UNKNOWN", `status ${status}`]));
  }

  #given(m, value, count) {
    const type = ARRAYS[m.type], whole = m.type === "int64" || m.type === "uint64";
    let array = value;
    if (!ArrayBuffer.isView(value)) {
      const flat = (Array.isArray(value) ? value.flat(Infinity) : [value]);
      if (!flat.every(v => ["number", "bigint", "boolean"].includes(typeof v))) {
        throw new ProgramError("BAD_INPUT", `${m.name} needs ${m.text}, got ${Object.prototype.toString.call(value)}`);
      }
      try {
        array = type.from(flat, whole ? BigInt : Number);
      } catch (error) {
        throw new ProgramError("BAD_INPUT", `${m.name} needs ${m.text}: ${error.message}`);
      }
    } else if (value[Symbol.toStringTag] !== type.name) {
      throw new ProgramError("BAD_INPUT", `${m.name} needs ${m.text}, a ${type.name}, got a ${value[Symbol.toStringTag]}`);
    }
    if (count !== undefined && array.length !== count) {
      throw new ProgramError("BAD_INPUT", `${m.name} has ${count} elements, got ${array.length}`);
    }
    return array;
  }
}

const part = (bytes, offset, size) =>
  ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset + offset, size) : new Uint8Array(bytes, offset, size);

/** The sizes: those that are given, and those that the counts of inputs tell. */
function solved(arrays, sizes) {
  const s = {};
  for (const [name, value] of Object.entries(sizes)) {
    if (!PROGRAM.sizes.includes(name)) throw new ProgramError("BAD_SIZE", `there is no size ${name}`);
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 31) throw new ProgramError("BAD_SIZE", `the size ${name} is ${value}`);
    s[name] = value;
  }
  for (let before = -1; before !== Object.keys(s).length;) {
    before = Object.keys(s).length;
    for (const { size, input, count } of PROGRAM.rules) {
      if (size in s) continue;
      const offset = count({ ...s, [size]: 0 }), factor = count({ ...s, [size]: 1 }) - offset;
      const found = (arrays[input].length - offset) / factor;
      if (Number.isInteger(found) && found >= 0 && found < 2 ** 31) s[size] = found;
    }
  }
  for (const name of PROGRAM.sizes) {
    if (name in s) continue;
    const rule = PROGRAM.rules.find(r => r.size === name);
    if (rule === undefined) throw new ProgramError("BAD_SIZE", `the size ${name} must be given, as in run(inputs, { ${name}: ... })`);
    const text = PROGRAM.inputs.find(m => m.name === rule.input).text;
    throw new ProgramError("BAD_INPUT", `input ${rule.input} needs ${text}, got ${arrays[rule.input].length} elements`);
  }
  for (const { holds, text } of PROGRAM.requirements) {
    if (!holds(s)) throw new ProgramError("BAD_SIZE", `${text} does not hold where ${PROGRAM.sizes.map(n => `${n} = ${s[n]}`).join(", ")}`);
  }
  return s;
}

/** The bytes at an address, or those that are given. */
async function fetched(source) {
  if (typeof source !== "string" && !(source instanceof URL)) return source;
  const url = new URL(source, import.meta.url);
  if (url.protocol === "file:" && typeof process !== "undefined") {
    const { readFile } = await import("node:fs/promises");
    return readFile(url);
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new ProgramError("NOT_FOUND", `${url} answers ${answer.status}`);
  return answer.arrayBuffer();
}

/** The program: from the files beside this one, or from those that are given (addresses, bytes, a compiled module). */
export async function load(wasm = `./${PROGRAM.name}.wasm`, weights = `./${PROGRAM.name}.bin`) {
  const bytes = PROGRAM.weights === "file" ? await fetched(weights) : undefined;
  const code = await fetched(wasm);
  const module = code instanceof WebAssembly.Module ? code : await WebAssembly.compile(code);
  return new Program(await WebAssembly.instantiate(module, {}), module, bytes);
}
