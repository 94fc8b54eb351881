"""What tests/fuzz.py is made of.

    case.py       a graph and values for its inputs
    rules.py      operations drawn from all of the vocabulary
    sketches.py   graphs of them, with loops and choices
    networks.py   graphs drawn as networks are made
    graphs.py     the graph of a seed and an index
    moving.py     how far native code may be off
    comparing.py  what is compared with what
    reducing.py   a mismatch made small, and told
    command.py    the command line
"""
