"""Files of state and of weights: variables by name, as .npz (NumPy), as .safetensors, or as shards of .safetensors.

    state.py          save and load, and what fits
    names.py          names in a file as names of variables
    sources.py        a file whose arrays are read one by one
    npz.py            .npz
    safetensors.py    .safetensors
    shards.py         an index of .safetensors files
    replacing.py      a file that is there as a whole or not at all
"""

from graphc.saving.state import Unfit, load, save

__all__ = ["Unfit", "load", "save"]
