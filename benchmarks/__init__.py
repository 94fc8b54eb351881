"""graphc against its peers: `python benchmarks/peers.py`.

peers.py       the command line: conducts the measurement, prints the table
conductor.py   a process for each contender, asked in turns
worker.py      what runs in such a process
report.py      the table and the drawing, from the figures
leaving.py     programs that have left Python, against native code: a command of its own
workload.py    what a workload is
workloads/     the workloads, a file for each family, and the rows of the table
"""
