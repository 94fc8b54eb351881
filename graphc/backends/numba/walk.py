"""A call from Python, and the walk over its table of kernels by one or more threads; in the words of kernels (`frontend.py`).

A row of the table is one call: [code, pointers, sizes, extent, tile, tiles, claimed, done].
Every thread walks the whole table; it claims tiles of a call by an atomic add until none is left, waits until all are done, and
goes on. So any number of threads, also one, makes progress, and nothing stands between two kernels but that wait. Some threads
claim tiles from the first one on and others from the last one back: what a thread reads in the next call, it mostly wrote itself,
and has in its cache.
"""

from typing import Any

from graphc.backends.numba.intrinsics import add, exchange, external, iand, minimum, pause, read, run_kernel, udiv, write
from graphc.ir.types import int32, int64

Word = Any
ROW_BYTES = 64
CODE, POINTERS, SIZES, EXTENT, TILE, TILES, CLAIMED, DONE = 0, 1, 2, 3, 4, 5, 6, 7
FRONT, BACK = 1, 1 << 32  # what a claim adds: the lower half counts tiles from the first one on, the upper from the last one back

# Words of a worker: its scratch memory, and what it adds.
WORKER_SCRATCH, WORKER_END = 0, 1

# Words of a job: table, calls, scratch, state of the pool or 0, and for `call`: the Python list [arguments, results, other
# results], the rows of its arguments and results, those of the memories of variables, and the variables whose two memories
# change places in the end; each with how many there are; and whether a call has failed, so that
# none follows.
TABLE, CALLS, SCRATCH, POOL, FRAME, INPUTS, INPUT_COUNT, OUTPUTS, OUTPUT_COUNT = 0, 1, 2, 3, 4, 5, 6, 7, 8
STATES, STATE_COUNT, EXCHANGES, EXCHANGE_COUNT, FAILED = 9, 10, 11, 12, 13
JOB_WORDS = 14

# Words of the row of an array: its class, its data type (an object's address each), rank, where its shape and the flags it must
# have stand, and a first and a last place for places that its data's address is written to.
CLASS, DTYPE, RANK, SHAPE, FLAGS, FIRST, LAST = 0, 1, 2, 3, 4, 5, 6
ARRAY_WORDS = 7

# Words of the row of a variable's memory: where its address stands, and a first and a last place as above.
ADDRESS, FIRST_USE, LAST_USE = 0, 1, 2
MEMORY_WORDS = 3

# Words of Python's objects, and of NumPy's arrays (`PyArrayObject_fields` of NumPy 1 and 2); `executor` checks that they are so.
OBJECT_COUNT, OBJECT_CLASS, SIZE, LIST_ITEMS, TUPLE_ITEMS = 0, 1, 2, 3, 3
ARRAY_DATA, ARRAY_RANK, ARRAY_SHAPE, ARRAY_DTYPE, ARRAY_FLAGS = 2, 3, 4, 7, 8
HALF = 0xFFFFFFFF  # these words hold 32 bits that matter: the count of references, the rank and the flags

RAN, RAN_OTHER, NO_RESULT, OTHER_ARGUMENTS = 0, 1, 2, 3  # what `call` gives

# Words of the pool's state, a cache line each.
SEQUENCE, JOB, BUSY, INSIDE, OPEN, ASLEEP, STOP, SEMAPHORE = 0, 8, 16, 24, 32, 40, 48, 56
STATE_WORDS = 72  # a sem_t takes the last 16
SPINS = 20_000  # looks for work before a worker sleeps: about half a millisecond
YIELD = 2_000  # looks before a waiting thread gives its processor away

sem_wait = external("sem_wait", int32, int64)
sem_post = external("sem_post", int32, int64)
sched_yield = external("sched_yield", int32)


def call(job: Word) -> int:
    """Run a job on the arguments and results in its frame, if they are what they must be and nobody else holds the results."""
    frame = job[FRAME][LIST_ITEMS]
    arguments = frame[0]
    if arguments[SIZE] != job[INPUT_COUNT]:
        return OTHER_ARGUMENTS
    for i in range(job[INPUT_COUNT]):
        if fits(arguments[TUPLE_ITEMS + i], job[INPUTS] + i * 8 * ARRAY_WORDS) == 0:
            return OTHER_ARGUMENTS
    used = 0
    if are_free(job, frame[1]) == 0:
        used = 1
        if are_free(job, frame[2]) == 0:
            return NO_RESULT
    for i in range(job[INPUT_COUNT]):
        row = job[INPUTS] + i * 8 * ARRAY_WORDS
        place(arguments[TUPLE_ITEMS + i][ARRAY_DATA], row[FIRST], row[LAST])
    for i in range(job[OUTPUT_COUNT]):
        row = job[OUTPUTS] + i * 8 * ARRAY_WORDS
        place(frame[1 + used][LIST_ITEMS][i][ARRAY_DATA], row[FIRST], row[LAST])
    for i in range(job[STATE_COUNT]):
        row = job[STATES] + i * 8 * MEMORY_WORDS
        place(row[ADDRESS][0], row[FIRST_USE], row[LAST_USE])
    if job[POOL] == 0:
        run_alone(job)
    else:
        lead(job[POOL], job)
    if job[FAILED] != 0:
        return used
    for i in range(job[EXCHANGE_COUNT]):
        places = job[EXCHANGES][i]
        now = places[0]
        write(places, 0, places[1])
        write(places, 1, now)
    return used


def fits(array: Word, row: Word) -> int:
    """Whether an object is the array that a row describes."""
    if array[OBJECT_CLASS] != row[CLASS]:
        return 0
    if array[ARRAY_DTYPE] != row[DTYPE] or iand(array[ARRAY_RANK], HALF) != row[RANK]:
        return 0
    if iand(array[ARRAY_FLAGS], row[FLAGS]) != row[FLAGS]:
        return 0
    for axis in range(row[RANK]):
        if array[ARRAY_SHAPE][axis] != row[SHAPE][axis]:
            return 0
    return 1


def are_free(job: Word, results: Word) -> int:
    """Whether a list has all results, and nobody else has any of them."""
    if results[SIZE] != job[OUTPUT_COUNT]:
        return 0
    for i in range(job[OUTPUT_COUNT]):
        array = results[LIST_ITEMS][i]
        if iand(array[OBJECT_COUNT], HALF) != 1:
            return 0
        if fits(array, job[OUTPUTS] + i * 8 * ARRAY_WORDS) == 0:
            return 0
    return 1


def place(address: Word, first: Word, last: Word) -> None:
    for at in range(first, last, 8):
        write(read(at, 0), 0, address)


def run_alone(job: Word) -> None:
    table = read(job, TABLE)
    for call in range(read(job, CALLS)):
        row = table + call * ROW_BYTES
        extent = read(row, EXTENT)
        if extent > 0 and read(job, FAILED) == 0:
            run_kernel(read(row, CODE), read(row, POINTERS), read(row, SIZES), 0, extent, read(job, SCRATCH))


def walk(job: Word, scratch: Word, end: Word) -> None:
    table = read(job, TABLE)
    for call in range(read(job, CALLS)):
        if read(job, FAILED) != 0:
            return
        row = table + call * ROW_BYTES
        extent = read(row, EXTENT)
        tile = read(row, TILE)
        tiles = read(row, TILES)
        while claims(read(row, CLAIMED)) < tiles:
            claimed = add(row, CLAIMED, end)
            if claims(claimed) >= tiles:
                break
            lo = iand(claimed, HALF) * tile
            if end == BACK:
                lo = (tiles - 1 - udiv(claimed, BACK)) * tile
            run_kernel(read(row, CODE), read(row, POINTERS), read(row, SIZES), lo, minimum(extent, lo + tile), scratch)
            add(row, DONE, 1)
        spins = 0
        while read(row, DONE) < tiles:
            pause()
            spins += 1
            if spins > YIELD:
                sched_yield()


def claims(claimed: Word) -> Word:
    """How many tiles are claimed, or more where threads asked in vain."""
    return iand(claimed, HALF) + udiv(claimed, BACK)


def lead(state: Word, job: Word) -> None:
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
    walk(job, read(job, SCRATCH), FRONT)
    write(state, OPEN, 0)
    spins = 0
    while read(state, INSIDE) != 0:
        pause()
        spins += 1
        if spins > YIELD:
            sched_yield()
    write(state, BUSY, 0)


def work(state: Word, worker: Word) -> None:
    """The life of a worker."""
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
            walk(job, read(worker, WORKER_SCRATCH), read(worker, WORKER_END))
        add(state, INSIDE, -1)
