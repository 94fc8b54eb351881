"""Training on more than one machine.

    watch.py       faults: what a rank tells the others, and how it ends where one of them is at fault
    guard.py       the process beside each rank that speaks with the others
"""
