"""Models as files: a folder with the structure as JSON and the arrays beside it. Nothing is unpickled.

    model.json                         classes and options of the layers, how they are connected, how the model is trained
    variables.safetensors              weights and state of layers by path, the optimiser's state under "optimizer/"

The arrays are those of `gx.save`; folders that have them as variables.npz are read too.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc import Tensor
from graphc.layers.config import from_data, to_data
from graphc.layers.layer import Layer, flat
from graphc.models.naming import output_names

if TYPE_CHECKING:
    from graphc.models.model import Model

StrPath = str | os.PathLike[str]
FORMAT = 1


def save(model: Model, path: StrPath) -> None:
    """Write a model into a folder, which is replaced as a whole or stays as it was.

    Structure, weights, state, and, where the model is compiled, how it is trained and its optimiser's state. Raises InputError
    for a layer or a function without a name in files: see `gx.layers.register`.
    """
    path, training = Path(path), model.compiled_with_data()
    if training is not None:
        model.programs.prepare()
    data = {
        "format": FORMAT, "graphc": gx.__version__, "model": to_data(model), "inputs": _types(model.called_with),
        "training": training,
    }  # fmt: skip
    if path.exists() and not (path / "model.json").exists():
        raise gx.errors.InputError(
            f"save: {os.fspath(path)!r} exists, and is no model", where=gx.errors.caller(), hint="give another path, or remove it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        (new / "model.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
        whole = training is not None and model.programs.step is None  # else a loaded model does not know the optimiser's state
        gx.save(new / "variables.safetensors", model.state if whole else model.variables)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            path.rename(old / "old")
            new.rename(path)
            shutil.rmtree(old)
        else:
            new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def load(path: StrPath) -> Model:
    """The model that `model.save` wrote, compiled as it was.

    Classes of your own must be registered before: see `gx.layers.register`. Raises FileError where the folder is none of a model,
    or its arrays do not fit the structure.
    """
    path = Path(path)
    try:
        data = json.loads((path / "model.json").read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"it has format {data['format']}, not {FORMAT}")
        written, inputs, training = data["model"], data["inputs"], data["training"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise gx.errors.FileError(f"load: {os.fspath(path)!r} is no model: {error}", where=gx.errors.caller()) from error
    model: Model = from_data(written)
    build(model, inputs)
    if training is not None:
        model.compile_from_data(training)
    arrays = next((path / name for name in ("variables.safetensors", "variables.npz") if (path / name).exists()), None)
    if arrays is None:
        raise gx.errors.FileError(f"load: {os.fspath(path)!r} has no variables", where=gx.errors.caller())
    gx.load(arrays, model.state)
    return model


def export(model: Model, path: StrPath, **options: Any) -> Any:
    """Write what a model predicts as ONNX: see `gx.onnx.save`, which takes the options.

    Inputs and outputs have the model's names, the batch has any size, and weights are called by their paths. Raises InputError
    where it is not known what the model takes.
    """
    if model.symbolic_inputs is not None:
        taken = [(x.attrs["name"], _types(x)) for x in flat(model.symbolic_inputs)]
    elif model.called_with:
        taken = [(f"input{i}", kind) for i, kind in enumerate(_types(model.called_with))]
    elif model.input_shape is not None:
        taken = [("input0", _types(gx.placeholder("input0", ("batch", *model.input_shape), model.dtype)))]
    else:
        raise gx.errors.InputError(
            f"export: what {model.name} takes is not known", where=gx.errors.caller(),
            hint="call it once, or give its input_shape",
        )  # fmt: skip
    symbols = [_placeholder(kind, name) for name, kind in taken]
    outputs = model(*symbols, training=False)
    names = output_names(model, outputs)
    results = flat(outputs)
    named = dict(zip(names, results, strict=True)) if names else results[0] if len(results) == 1 else results
    return gx.onnx.save(Path(path), flat(symbols), named, weights=model.variables, **options)


def save_weights(model: Layer, path: StrPath, **options: Any) -> None:
    """Write the variables by path into a file, .npz or .safetensors; options: those of `gx.save`."""
    gx.save(path, model.variables, **options)


def load_weights(model: Layer, path: StrPath, strict: bool = True, **options: Any) -> Any:
    """Set the variables from a file; options: those of `gx.load`."""
    return gx.load(path, model.variables, strict=strict, **options)


def build(model: Layer, inputs: Any) -> None:
    """Make the variables of a model that has none yet."""
    if inputs is not None and not model.variables:
        model(*(_placeholder(x, f"input{i}") for i, x in enumerate(inputs)))


def _types(tree: Any) -> Any:
    """The types of nested symbols as data."""
    if isinstance(tree, Tensor):
        return {"shape": to_data(list(tree.shape)), "dtype": str(tree.dtype)}
    if isinstance(tree, dict):
        return {"items": [[key, _types(v)] for key, v in tree.items()]}
    return None if tree is None else [_types(v) for v in tree]


def _placeholder(data: Any, name: str) -> Any:
    if isinstance(data, dict) and "shape" in data:
        return gx.placeholder(name, tuple(from_data(data["shape"])), data["dtype"])
    if isinstance(data, dict):
        return {key: _placeholder(v, f"{name}.{key}") for key, v in data["items"]}
    return None if data is None else [_placeholder(v, f"{name}.{i}") for i, v in enumerate(data)]
