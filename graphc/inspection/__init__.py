"""What a compiled object tells about itself: where its time, its memory and its kernels' boundaries come from.

    memory.py    what it holds, as expressions of the symbolic dimensions
    explain.py   why two kernels are not one
    profile.py   what each kernel takes, moves and computes
    flops.py     floating-point operations, counted from a kernel's text
    machine.py   what this machine reaches at best
    table.py     columns of text
"""
