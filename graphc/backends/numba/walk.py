"""The walk over a table of kernel calls, by one thread or by several at once; written in the words of kernels (`frontend.py`).

A row of the table is one call: [code, pointers, sizes, extent, tile, tiles, claimed, done]. A job is [table, calls, scratch].
Every thread walks the whole table; it claims tiles of a call by an atomic add until none is left, waits until all are done, and
goes on. So any number of threads, also one, makes progress, and nothing stands between two kernels but that wait.
"""

from graphc.backends.numba.intrinsics import add, exchange, external, minimum, pause, read, run_kernel, write
from graphc.ir.types import int32, int64

ROW_BYTES = 64
CODE, POINTERS, SIZES, EXTENT, TILE, TILES, CLAIMED, DONE = 0, 1, 2, 3, 4, 5, 6, 7
TABLE, CALLS, SCRATCH = 0, 1, 2

# Words of the pool's state, a cache line each.
SEQUENCE, JOB, BUSY, INSIDE, OPEN, ASLEEP, STOP, SEMAPHORE = 0, 8, 16, 24, 32, 40, 48, 56
STATE_WORDS = 72  # a sem_t takes the last 16
SPINS = 20_000  # looks for work before a worker sleeps
YIELD = 2_000  # looks before a waiting thread gives its processor away

sem_wait = external("sem_wait", int32, int64)
sem_post = external("sem_post", int32, int64)
sched_yield = external("sched_yield", int32)


def run_alone(job: int) -> None:
    table = read(job, TABLE)
    for call in range(read(job, CALLS)):
        row = table + call * ROW_BYTES
        extent = read(row, EXTENT)
        if extent > 0:
            run_kernel(read(row, CODE), read(row, POINTERS), read(row, SIZES), 0, extent, read(job, SCRATCH))


def walk(table: int, calls: int, scratch: int) -> None:
    for call in range(calls):
        row = table + call * ROW_BYTES
        extent = read(row, EXTENT)
        tile = read(row, TILE)
        tiles = read(row, TILES)
        while read(row, CLAIMED) < tiles:
            claim = add(row, CLAIMED, 1)
            if claim >= tiles:
                break
            lo = claim * tile
            run_kernel(read(row, CODE), read(row, POINTERS), read(row, SIZES), lo, minimum(extent, lo + tile), scratch)
            add(row, DONE, 1)
        spins = 0
        while read(row, DONE) < tiles:
            pause()
            spins += 1
            if spins > YIELD:
                sched_yield()


def lead(state: int, job: int) -> None:
    """Run a job with the workers' help, or alone while they are busy with another."""
    if exchange(state, BUSY, 1) != 0:
        run_alone(job)
        return
    table = read(job, TABLE)
    calls = read(job, CALLS)
    for call in range(calls):
        write(table + call * ROW_BYTES, CLAIMED, 0)
        write(table + call * ROW_BYTES, DONE, 0)
    write(state, JOB, job)
    write(state, OPEN, 1)
    add(state, SEQUENCE, 1)
    for _ in range(read(state, ASLEEP)):
        sem_post(state + 8 * SEMAPHORE)
    walk(table, calls, read(job, SCRATCH))
    write(state, OPEN, 0)
    spins = 0
    while read(state, INSIDE) != 0:
        pause()
        spins += 1
        if spins > YIELD:
            sched_yield()
    write(state, BUSY, 0)


def work(state: int, scratch: int) -> None:
    """The life of a worker. `scratch` holds the address of its scratch memory."""
    last = 0
    while read(state, STOP) == 0:
        spins = 0
        while read(state, SEQUENCE) == last and read(state, STOP) == 0:
            pause()
            spins += 1
            if spins > SPINS:
                add(state, ASLEEP, 1)
                if read(state, SEQUENCE) == last and read(state, STOP) == 0:
                    sem_wait(state + 8 * SEMAPHORE)
                add(state, ASLEEP, -1)
                spins = 0
        last = read(state, SEQUENCE)
        add(state, INSIDE, 1)
        if read(state, OPEN) != 0:
            job = read(state, JOB)
            walk(read(job, TABLE), read(job, CALLS), read(scratch, 0))
        add(state, INSIDE, -1)
