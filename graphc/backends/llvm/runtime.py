"""A call from Python, and the walk over its table of kernels by one or more threads; in the words of kernels (`frontend.py`).

A row of the table is one call: [code, pointers, sizes, extent, tile, tiles, claimed, done].
Every thread walks the whole table: it claims tiles of a call until none is left, waits until all are done, and goes on. So any
number of threads makes progress, a single one too, and that wait is the only synchronisation between two kernels. Half of the
threads claim tiles from the front and half from the back, so that a thread mostly reads in the next call what it wrote itself and
still has in its cache.

Of more workers than there are processors, only as many take part in a job as have one: a job has seats, and who finds them taken
sleeps. A thread that has to wait for a processor would keep a tile, or its place in a queue, from all the others.

A loop of steps is the rows between two marker rows, at which each thread counts its own turns:

    begin             sets the pointers of the rows below, and copies what carries begin with
    first             no turn: go on after the last row
      ...             the calls of a step
      advance         sets the pointers for the next step
    last              go back, or on

A collective is two rows, its start and the wait for its end: they call MPI's C functions. A wait that takes longer than its
limit, or that fails, asks a function of Python's, which returns 1 where the walk is to end.

All threads number the turns of a loop alike. The counters of a row belong to its newest turn: a thread that was asleep finds a
newer number than its own and skips what is done. No row ever waits for a particular thread.
"""

from typing import Any

from graphc.backends.llvm.intrinsics import (
    add,
    call_words,
    compare_exchange,
    exchange,
    external,
    iand,
    maximum,
    minimum,
    pause,
    read,
    run_kernel,
    udiv,
    write,
)
from graphc.ir.types import int32, int64

Word = Any
ROW_BYTES = 64
CODE, POINTERS, SIZES, EXTENT, TILE, TILES, CLAIMED, DONE = 0, 1, 2, 3, 4, 5, 6, 7
FRONT, BACK, TURN = 1, 1 << 10, 1 << 20  # what claims add: a tile from the front, one from the back; a turn
COUNT = 1023

# Marker rows: their value of `tiles`; and the words that hold the number of turns, the place of the thread's counter, and how
# many rows to skip or go back.
FIRST_ROW, LAST_ROW = -1, -2
TURNS, COUNTER, DISTANCE = 3, 4, 2
COUNTERS = 64  # bytes for a thread's counters, before its scratch memory

# Words of a worker: its scratch memory, and what it adds.
WORKER_SCRATCH, WORKER_END = 0, 1

# Words of a job: table, calls, scratch, state of the pool or 0, and for `call`: the Python list [arguments, results, other
# results, the caller's], the rows of its arguments and results, those of the memories of variables, and the variables whose two
# memories change places in the end; each with how many there are; whether a call has failed, so that none follows; the words
# that its collectives share, or 0; and the number of tiles of the call that has most.
TABLE, CALLS, SCRATCH, POOL, FRAME, INPUTS, INPUT_COUNT, OUTPUTS, OUTPUT_COUNT = 0, 1, 2, 3, 4, 5, 6, 7, 8
STATES, STATE_COUNT, EXCHANGES, EXCHANGE_COUNT, FAILED, SHARED, MOST = 9, 10, 11, 12, 13, 14, 15
JOB_WORDS = 16

# Words of the row of an array: its class, its data type (an object's address each), rank, where its shape and the flags it must
# have stand, a first and a last place for places that its data's address is written to, and its bytes.
CLASS, DTYPE, RANK, SHAPE, FLAGS, FIRST, LAST, BYTES = 0, 1, 2, 3, 4, 5, 6, 7
ARRAY_WORDS = 8

# Words of the row of a variable's memory: where its address stands, and a first and a last place as above.
ADDRESS, FIRST_USE, LAST_USE = 0, 1, 2
MEMORY_WORDS = 3

# Words of Python's objects, and of NumPy's arrays (`PyArrayObject_fields` of NumPy 1 and 2); `calls` checks that they are so.
OBJECT_COUNT, OBJECT_CLASS, SIZE, LIST_ITEMS = 0, 1, 2, 3
TUPLE_ITEMS = getattr(tuple, "__basicsize__", 24) // 8  # from Python 3.14 on a tuple keeps its hash before them
ARRAY_DATA, ARRAY_RANK, ARRAY_SHAPE, ARRAY_DTYPE, ARRAY_FLAGS = 2, 3, 4, 7, 8
HALF = 0xFFFFFFFF  # these words hold 32 bits that matter: the count of references, the rank and the flags

RAN, RAN_OTHER, NO_RESULT, OTHER_ARGUMENTS = 0, 1, 2, 3  # what `call` gives

# Words of the pool's state, a cache line each but for three that are seldom written: whether workers are to end, how many there
# are, and how many of them may work at once. INSIDE counts who has a seat or looks for one, SEATS those of the job (none between
# jobs), ASLEEP who sleeps and is not being woken.
SEQUENCE, JOB, BUSY, INSIDE, SEATS, ASLEEP, STOP, WORKERS, AT_ONCE, SEMAPHORE = 0, 8, 16, 24, 32, 40, 48, 49, 50, 56
STATE_WORDS = 72  # a sem_t takes the last 16
# Times to wait are the system's, not a processor's: what waking a thread costs, about.
SPINS = 20_000  # how often a worker looks for work before it sleeps: about half a millisecond
YIELD = 2_000  # how often a waiting thread looks before it yields its processor

# Words of a collective's start: the C function (0 where a rank alone copies), how many bytes to copy from the first address to
# the last, or to set to 0 there, which words of the call get the first address and the last (-1: none), the number that `ask` is
# told, the words that all share, where among the pointers the last address stands, and eight words of the call.
FUNCTION, COPIED, CLEARED, SENT, MADE, NUMBER, LIMITS, LAST_POINTER, WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Behind those, and in the same places among the words of a wait: which place among the shared ones is the request's, and its
# address. Words of a request: MPI's own, whether it is done, the error that a test gave, and MPI's status.
SLOT, REQUEST, CALL_WORDS = 16, 17, 18
FLAG, PROBLEM, STATUS, REQUEST_WORDS = 1, 2, 3, 12
# Words that all collectives of a call share: where the nanoseconds stand until `ask` is called, that function, which clock to
# read, two words for the time; whether a thread is testing, the C function that tests (0 where a rank is alone), how many places
# there are for requests, and these: the address of a request, or 0.
LIMIT, ASK, CLOCK, NOW, TESTING, TEST, PLACES, REQUESTS = 0, 1, 2, 3, 5, 6, 7, 8
CLOCK_EVERY = 64  # how often a wait tests between two looks at the clock

memcpy = external("memcpy", int64, int64, int64, int64)
memset = external("memset", int64, int64, int64, int64)
clock_gettime = external("clock_gettime", int32, int64, int64)
sem_wait = external("sem_wait", int64, int64)  # its int is the lower half
sem_post = external("sem_post", int32, int64)
sched_yield = external("sched_yield", int32)


def run_on(job: Word, arguments: Word, results: Word) -> None:
    """Run a job on a tuple of arguments and a list of results."""
    for i in range(job[INPUT_COUNT]):
        row = job[INPUTS] + i * 8 * ARRAY_WORDS
        place(arguments[TUPLE_ITEMS + i][ARRAY_DATA], row[FIRST], row[LAST])
    for i in range(job[OUTPUT_COUNT]):
        row = job[OUTPUTS] + i * 8 * ARRAY_WORDS
        place(results[LIST_ITEMS][i][ARRAY_DATA], row[FIRST], row[LAST])
    run(job)


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
    run_on(job, arguments, frame[1 + used])
    return used


def call_into(job: Word) -> int:
    """Run a job on the arguments in its frame and the caller's results, if they are what they must be and share no memory."""
    frame = job[FRAME][LIST_ITEMS]
    arguments = frame[0]
    results = frame[3]
    if arguments[SIZE] != job[INPUT_COUNT] or results[SIZE] != job[OUTPUT_COUNT]:
        return OTHER_ARGUMENTS
    for i in range(job[INPUT_COUNT]):
        if fits(arguments[TUPLE_ITEMS + i], job[INPUTS] + i * 8 * ARRAY_WORDS) == 0:
            return OTHER_ARGUMENTS
    for i in range(job[OUTPUT_COUNT]):
        row = job[OUTPUTS] + i * 8 * ARRAY_WORDS
        result = results[LIST_ITEMS][i]
        if fits(result, row) == 0:
            return OTHER_ARGUMENTS
        for j in range(job[INPUT_COUNT]):
            if are_apart(result, row, arguments[TUPLE_ITEMS + j], job[INPUTS] + j * 8 * ARRAY_WORDS) == 0:
                return OTHER_ARGUMENTS
        for j in range(i):
            if are_apart(result, row, results[LIST_ITEMS][j], job[OUTPUTS] + j * 8 * ARRAY_WORDS) == 0:
                return OTHER_ARGUMENTS
    run_on(job, arguments, results)
    return RAN


def are_apart(array: Word, row: Word, other: Word, other_row: Word) -> int:
    """Whether two arrays that fit their rows share no memory."""
    if array[ARRAY_DATA] + row[BYTES] <= other[ARRAY_DATA]:
        return 1
    if other[ARRAY_DATA] + other_row[BYTES] <= array[ARRAY_DATA]:
        return 1
    return 0


def call_at(job: Word, addresses: Word) -> int:
    """Run a job on arguments and results at these addresses: those of the arguments, then those of the results."""
    for i in range(job[INPUT_COUNT]):
        row = job[INPUTS] + i * 8 * ARRAY_WORDS
        place(addresses[i], row[FIRST], row[LAST])
    for i in range(job[OUTPUT_COUNT]):
        row = job[OUTPUTS] + i * 8 * ARRAY_WORDS
        place(addresses[job[INPUT_COUNT] + i], row[FIRST], row[LAST])
    run(job)
    return RAN


def run(job: Word) -> None:
    """Run a job whose arguments and results are placed; variables that are updated have their new values then."""
    for i in range(job[STATE_COUNT]):
        row = job[STATES] + i * 8 * MEMORY_WORDS
        place(row[ADDRESS][0], row[FIRST_USE], row[LAST_USE])
    if job[POOL] == 0:
        run_alone(job)
    else:
        lead(job[POOL], job)
    if job[FAILED] != 0:
        return
    for i in range(job[EXCHANGE_COUNT]):
        places = job[EXCHANGES][i]
        now = places[0]
        write(places, 0, places[1])
        write(places, 1, now)


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
    counters = read(job, SCRATCH)
    shared = read(job, SHARED)
    row = read(job, TABLE)
    end = row + read(job, CALLS) * ROW_BYTES
    while row < end:
        if read(row, TILES) < 0:
            row = row + jump(row, counters)
        else:
            extent = read(row, EXTENT)
            if read(job, FAILED) != 0:
                return
            step = extent
            if shared != 0:
                step = read(row, TILE)
            for lo in range(0, extent, step):
                if shared != 0:
                    poll(shared)
                hi = minimum(extent, lo + step)
                run_kernel(read(row, CODE), read(row, POINTERS), read(row, SIZES), lo, hi, counters + COUNTERS)
            row = row + ROW_BYTES


def walk(job: Word, counters: Word, end: Word) -> None:
    turn = 0
    shared = read(job, SHARED)
    row = read(job, TABLE)
    last = row + read(job, CALLS) * ROW_BYTES
    while row < last:
        if read(job, FAILED) != 0:
            return
        tiles = read(row, TILES)
        if tiles < 0:
            distance = jump(row, counters)
            if distance < 0:
                turn = turn + TURN
            row = row + distance
        else:
            if tiles > 0:
                share(row, turn, tiles, counters + COUNTERS, end, shared)
            row = row + ROW_BYTES


def jump(row: Word, counters: Word) -> Word:
    """How many rows to move from a marker row of a loop."""
    counter = read(row, COUNTER)
    if read(row, TILES) == FIRST_ROW:
        write(counters + counter, 0, 0)
        if read(row, TURNS) == 0:
            return read(row, DISTANCE)
        return ROW_BYTES
    turns = read(counters + counter, 0) + 1
    write(counters + counter, 0, turns)
    if turns < read(row, TURNS):
        return read(row, DISTANCE)
    return ROW_BYTES


def share(row: Word, turn: Word, tiles: Word, scratch: Word, end: Word, shared: Word) -> None:
    """Run tiles of a call until none is left, and wait until all are done.

    What does not change is read once, and what is done is counted here until nothing is left: the row's cache line goes from
    processor to processor once for each claim, and once for each thread.
    """
    code = read(row, CODE)
    pointers = read(row, POINTERS)
    sizes = read(row, SIZES)
    extent = read(row, EXTENT)
    tile = read(row, TILE)
    finished = 0
    left = 1
    while left != 0:
        now = read(row, CLAIMED)
        claimed = maximum(now, turn)
        if claims(claimed - turn) >= tiles:
            left = 0
        else:
            if compare_exchange(row, CLAIMED, now, claimed + end) == now:
                lo = iand(claimed, COUNT) * tile
                if end == BACK:
                    lo = (tiles - 1 - iand(udiv(claimed, BACK), COUNT)) * tile
                if shared != 0:
                    poll(shared)
                run_kernel(code, pointers, sizes, lo, minimum(extent, lo + tile), scratch)
                finished += 1
    while finished > 0:
        now = read(row, DONE)
        if compare_exchange(row, DONE, now, maximum(now, turn) + finished) == now:
            finished = 0
    spins = 0
    while read(row, DONE) < turn + tiles:
        pause()
        spins += 1
        if spins > YIELD:
            sched_yield()


def claims(claimed: Word) -> Word:
    """How many tiles are claimed; more than there are, if the row is at a newer turn."""
    if claimed >= TURN:
        return claimed
    return iand(claimed, COUNT) + udiv(claimed, BACK)


def begin(pointers: Word, sizes: Word, lo: Word, hi: Word, scratch: Word) -> None:
    """Before the first step: copy the carries' first values into place, and set the addresses of the first step.

    sizes: how many copies, and for each a source, a target, the target's offset, and bytes; how many places, and for each its
    address, the pointer that is written there, and an offset to add.
    """
    at = sizes + 8
    for _ in range(read(sizes, 0)):
        source = read(pointers, read(at, 0))
        target = read(pointers, read(at, 1)) + read(at, 2)
        if source != target:
            memcpy(target, source, read(at, 3))
        at = at + 32
    count = read(at, 0)
    at = at + 8
    for _ in range(count):
        write(read(at, 0), 0, read(pointers, read(at, 1)) + read(at, 2))
        at = at + 24


def advance(pointers: Word, sizes: Word, lo: Word, hi: Word, scratch: Word) -> None:
    """After a step: move to the next slices, and exchange carries with their second memories.

    sizes: how many places, and for each its address and what to add; how many carries, and for each how many places have its
    memory, how many the second one, and the places.
    """
    at = sizes + 8
    for _ in range(read(sizes, 0)):
        write(read(at, 0), 0, read(read(at, 0), 0) + read(at, 1))
        at = at + 16
    count = read(at, 0)
    at = at + 8
    for _ in range(count):
        first = read(at, 0)
        second = read(at, 1)
        at = at + 16
        now = read(read(at, 0), 0)
        then = read(read(at, first), 0)
        for i in range(first):
            write(read(at, i), 0, then)
        for i in range(first, first + second):
            write(read(at, i), 0, now)
        at = at + 8 * (first + second)


def lead(state: Word, job: Word) -> None:
    """Run a job with the workers' help, or alone while they are busy with another."""
    seats = minimum(read(state, AT_ONCE), read(job, MOST) - 1)
    if seats < 1 or exchange(state, BUSY, 1) != 0:
        run_alone(job)
        return
    table = read(job, TABLE)
    calls = read(job, CALLS)
    for call in range(calls):
        write(table + call * ROW_BYTES, CLAIMED, 0)
        write(table + call * ROW_BYTES, DONE, 0)
    write(state, JOB, job)
    write(state, SEATS, seats)
    add(state, SEQUENCE, 1)
    wake(state)
    walk(job, read(job, SCRATCH), FRONT)
    write(state, SEATS, 0)
    spins = 0
    while read(state, INSIDE) != 0:
        pause()
        spins += 1
        if spins > YIELD:
            sched_yield()
    write(state, BUSY, 0)


def awake(state: Word) -> Word:
    """How many workers do not sleep."""
    return read(state, WORKERS) - read(state, ASLEEP)


def wake(state: Word) -> None:
    """Wake two workers, if seats are free for them. They wake others: one alone would take some microseconds for each."""
    posted = 0
    asleep = read(state, ASLEEP)
    while posted < 2 and asleep > 0 and read(state, WORKERS) - asleep < read(state, SEATS):
        if compare_exchange(state, ASLEEP, asleep, asleep - 1) == asleep:
            sem_post(state + 8 * SEMAPHORE)
            posted += 1
        asleep = read(state, ASLEEP)


def sleep(state: Word, last: Word) -> None:
    """Sleep until there is another job than the last one. Whoever wakes a worker takes it off those that are asleep."""
    add(state, ASLEEP, 1)
    if read(state, SEQUENCE) != last or read(state, STOP) != 0:
        asleep = read(state, ASLEEP)
        while asleep > 0:  # else all that are asleep are being woken, this worker too
            if compare_exchange(state, ASLEEP, asleep, asleep - 1) == asleep:
                return
            asleep = read(state, ASLEEP)
    while iand(sem_wait(state + 8 * SEMAPHORE), HALF) != 0:  # a signal ended it
        pause()
    wake(state)


def work(state: Word, worker: Word) -> None:
    """The life of a worker."""
    last = 0
    while read(state, STOP) == 0:
        spins = 0
        while read(state, SEQUENCE) == last and read(state, STOP) == 0:
            pause()
            spins += 1
            if spins > SPINS or awake(state) > read(state, AT_ONCE):
                sleep(state, last)
                spins = 0
        last = read(state, SEQUENCE)
        seat = add(state, INSIDE, 1)
        seats = read(state, SEATS)
        if seat < seats:
            end = read(worker, WORKER_END)
            if seats < read(state, WORKERS):  # any worker may have got it
                end = BACK
                if iand(seat, 1) != 0:
                    end = FRONT
            walk(read(state, JOB), read(worker, WORKER_SCRATCH), end)
        add(state, INSIDE, -1)


def start(pointers: Word, sizes: Word, lo: Word, hi: Word, scratch: Word) -> None:
    """Start a collective: sizes are its words, pointers those of what it reads, if anything, and of what it makes."""
    last = pointers + sizes[LAST_POINTER]
    if sizes[COPIED] > 0 and read(last, 0) != read(pointers, 0):
        memcpy(read(last, 0), read(pointers, 0), sizes[COPIED])
    if sizes[CLEARED] > 0:
        memset(read(last, 0), 0, sizes[CLEARED])
    if sizes[FUNCTION] != 0:
        words = sizes + 8 * WORDS
        if sizes[SENT] >= 0:
            write(words, sizes[SENT], read(pointers, 0))
        if sizes[MADE] >= 0:
            write(words, sizes[MADE], read(last, 0))
        code = call_words(
            sizes[FUNCTION], words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7]
        )
        if iand(code, HALF) != 0:
            call_words(sizes[LIMITS][ASK], sizes[NUMBER], 0, iand(code, HALF), 0, 0, 0, 0, 0)
        else:
            write(sizes[REQUEST], FLAG, 0)
            write(sizes[REQUEST], PROBLEM, 0)
            write(sizes[LIMITS] + 8 * REQUESTS, sizes[SLOT], sizes[REQUEST])


def finish(pointers: Word, sizes: Word, lo: Word, hi: Word, scratch: Word) -> None:
    """Wait for the end of a collective: sizes are the words of the wait."""
    limits = sizes[LIMITS]
    if limits[TEST] != 0:
        request = sizes[REQUEST]
        write(limits + 8 * REQUESTS, sizes[SLOT], 0)
        begun = clock(limits)
        asked = begun
        tests = 0
        while iand(read(request, FLAG), HALF) == 0:
            code = test(limits, request)
            if code != 0:
                call_words(limits[ASK], sizes[NUMBER], 0, code, 0, 0, 0, 0, 0)
                return
            tests += 1
            if tests == CLOCK_EVERY:
                tests = 0
                sched_yield()
                now = clock(limits)
                if now - asked > limits[LIMIT][0]:
                    asked = now
                    if call_words(limits[ASK], sizes[NUMBER], now - begun, 0, 0, 0, 0, 0, 0) != 0:
                        return


def poll(shared: Word) -> None:
    """Let MPI go on with what is started: it does so only while it is called."""
    if compare_exchange(shared, TESTING, 0, 1) == 0:
        tested = 0
        for i in range(shared[PLACES]):
            request = read(shared + 8 * REQUESTS, i)
            if request != 0 and tested == 0 and iand(read(request, FLAG), HALF) == 0:
                test(shared, request)
                tested = 1
        write(shared, TESTING, 0)


def test(shared: Word, request: Word) -> Word:
    """Ask MPI whether a request is done, which its flag says then. What gives an error is asked no more: that is its problem."""
    if read(request, PROBLEM) == 0:
        code = call_words(shared[TEST], request, request + 8 * FLAG, request + 8 * STATUS, 0, 0, 0, 0, 0)
        write(request, PROBLEM, iand(code, HALF))
    return read(request, PROBLEM)


def clock(limits: Word) -> Word:
    """Nanoseconds of a clock that goes on evenly."""
    clock_gettime(limits[CLOCK], limits + 8 * NOW)
    return limits[NOW] * 1000000000 + limits[NOW + 1]
