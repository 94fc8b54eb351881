/* A Cortex-M without anything: the table of vectors, what runs before main, and device.h by semihosting.

   Semihosting is how a program asks a debugger, or an emulator, for files: a number in r0, arguments in r1, and the instruction
   bkpt 0xab (Arm, "Semihosting for AArch32 and AArch64", 2023). A device of yours has its sensors in the place of it. */
#include "device.h"

#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };

static int semihosting(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uintptr_t length(const char *text)
{
    uintptr_t n = 0;
    while (text[n] != '\0')
        ++n;
    return n;
}

int device_open(const char *name, int write)
{
    const uintptr_t arguments[] = {(uintptr_t)name, write ? 5 : 1, length(name)}; /* "wb", "rb" of fopen */
    return semihosting(SYS_OPEN, arguments);
}

/* Both answer how many bytes are left. */
int device_read(int file, void *to, size_t count)
{
    const uintptr_t arguments[] = {(uintptr_t)file, (uintptr_t)to, count};
    return semihosting(SYS_READ, arguments) == 0;
}

int device_write(int file, const void *from, size_t count)
{
    const uintptr_t arguments[] = {(uintptr_t)file, (uintptr_t)from, count};
    return semihosting(SYS_WRITE, arguments) == 0;
}

void device_close(int file)
{
    const uintptr_t arguments[] = {(uintptr_t)file};
    semihosting(SYS_CLOSE, arguments);
}

void device_say(const char *text)
{
    semihosting(SYS_WRITE0, text);
}

static void end(int status)
{
    const uintptr_t arguments[] = {0x20026, (uintptr_t)status}; /* the application has ended, with a status */
    semihosting(SYS_EXIT_EXTENDED, arguments);
    for (;;)
        ;
}

/* --- from the first instruction to main --- */

extern uint32_t data_start[], data_end[], data_stored[], bss_start[], bss_end[], stack_top[]; /* cortex_m.ld */
int main(void);
void reset(void);

void reset(void)
{
    uint32_t *to;
    const uint32_t *from = data_stored;
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR: coprocessors 10 and 11, the floating-point unit, are open */
    __asm__ volatile("dsb\n\tisb");
#endif
    for (to = data_start; to < data_end; ++to)
        *to = *from++;
    for (to = bss_start; to < bss_end; ++to)
        *to = 0;
    end(main());
}

static void fault(void)
{
    device_say("a fault\n");
    end(70);
}

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const union {
    const uint32_t *stack;
    vector handler;
} vectors[] = {
    {.stack = stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault}, /* NMI, hard fault */
    {.handler = fault}, {.handler = fault}, {.handler = fault}, /* memory, bus, usage */
};
