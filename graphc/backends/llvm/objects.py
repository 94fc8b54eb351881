"""LLVM text to an object for a processor; or, run as a program, a second process that does nothing else.

llvmlite holds one lock around every call into LLVM, so threads cannot compile at once, and a forked child of a process with
threads may hang. A new process needs 0.07 s to start; it pays from a few kernels on. This file therefore imports llvmlite alone.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar

from llvmlite import binding

T = TypeVar("T")
JOINED = "joined"  # the name of loads of lanes; once loops are vectors, the stores and loads through that memory can be removed
FINISHED = "; finished\n"  # a text that begins so is not optimised: it has exactly the instructions that are wanted


def apart(work: Callable[[], T]) -> T:
    """The result of work that no interrupt may cut in two, such as LLVM's: it is never done on the main thread.

    Python raises KeyboardInterrupt on the main thread alone. There it could come while llvmlite holds its lock but has not
    noted that it must let go of it, and every other thread would wait forever. The main thread waits here instead; an
    interrupt ends its waiting, and the work goes on to its end, for which the end of the process waits.

    Python's own `Thread.start` and `join` are no better to interrupt: both may raise something else, or take the thread for
    ended. So another thread starts it, and the main thread waits for the interpreter's own lock.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: list[T] = []
    errors: list[BaseException] = []
    going = threading.Lock()
    going.acquire()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        going.release()

    def begin() -> None:
        try:
            threading.Thread(target=run, name="graphc-apart", daemon=False).start()
        except BaseException as error:  # the system has no more threads
            errors.append(error)
            going.release()

    start_new_thread(begin, ())
    going.acquire()
    if errors:
        raise errors[0]
    return results[0]


@lru_cache(maxsize=8)
def machine(cpu: str, features: str) -> Any:
    """A processor, as LLVM sees it, in this process."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def processor() -> tuple[str, frozenset[str]]:
    """LLVM's name of this processor, and its features."""
    name, features = apart(lambda: (binding.get_host_cpu_name(), binding.get_host_cpu_features()))
    return name, frozenset(feature for feature, on in features.items() if on)


def compile_text(text: str, cpu: str, features: str) -> bytes:
    """The object of an LLVM text for a processor."""
    return bytes(machine(cpu, features).emit_object(optimised(text, cpu, features)))


def optimised(text: str, cpu: str, features: str) -> Any:
    """The module of an LLVM text after LLVM's optimisation, loops as vectors.

    Loops are unrolled only where the front end marked them: more unrolling made kernels slower and took three quarters of
    LLVM's time, by measurement. Superword-level vectorisation (SLP) is off, as in Numba, where it made wrong code (numba#8705).
    """
    target = machine(cpu, features)
    module = binding.parse_assembly(text)
    module.verify()
    module.triple, module.data_layout = target.triple, str(target.target_data)
    if not text.startswith(FINISHED):
        options = binding.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization, options.slp_vectorization, options.loop_unrolling = True, False, False
        builder = binding.create_pass_builder(target, options)
        builder.getModulePassManager().run(module, builder)
        if JOINED in text:
            last = binding.create_new_module_pass_manager()
            last.add_sroa_pass()
            for _ in range(2):
                last.add_instruction_combine_pass()
                last.add_dead_store_elimination_pass()
            last.run(module, builder)
    return module


class Assistant:
    """A second process that compiles for a processor. OSError, once it can no longer."""

    def __init__(self, cpu: str, features: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__)), cpu, features],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def compile_text(self, text: str) -> bytes:
        """What the function of this name gives for this text, from there."""
        assert self.process.stdin is not None and self.process.stdout is not None
        _send(self.process.stdin, text.encode())
        return _receive(self.process.stdout)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def _send(file: IO[bytes], data: bytes) -> None:
    file.write(struct.pack("<Q", len(data)) + data)
    file.flush()


def _receive(file: IO[bytes]) -> bytes:
    head = file.read(8)
    data = file.read(struct.unpack("<Q", head)[0]) if len(head) == 8 else b""
    if not data:
        raise OSError("the other process has ended")
    return data


def _serve(cpu: str, features: str) -> None:
    while True:
        try:
            text = _receive(sys.stdin.buffer)
        except OSError:
            return
        _send(sys.stdout.buffer, compile_text(text.decode(), cpu, features))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
