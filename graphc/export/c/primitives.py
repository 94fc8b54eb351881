"""The primitives of ir/primitives.py as C99 without a library: what a program calls is written into its file.

`FUNCTIONS` maps a name to its text, in which `@name` calls another. Where a compiler says that the processor has an instruction
(fused multiply-add, roots, rounding), that is used; elsewhere integers make the same bits. Numbers of IEEE 754 are assumed, and
that no operation is done in a wider type: the file checks FLT_EVAL_METHOD.

Fused multiply-add in software: the product of two float32 is exact in double, and a sum rounded to odd there is rounded once in
all when it becomes float32 (S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using
rounding to odd", IEEE Transactions on Computers 57, 2008). For double the product is 128 bits of integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FUNCTIONS: dict[str, str] = {}


def _define(text: str) -> None:
    for part in re.split(r"\n(?=static )", text.strip("\n")):
        name = re.search(r"^static inline [\w ]*?\*?(\w+)\(", part, re.MULTILINE)
        assert name is not None, part
        FUNCTIONS[name[1]] = part


_define("""
static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static inline int64_t at_least_0(int64_t a)
{
    return a > 0 ? a : 0;
}
static inline float f32_of_bits(uint32_t bits)
{
    union { uint32_t bits; float value; } both;
    both.bits = bits;
    return both.value;
}
static inline uint32_t bits_of_f32(float value)
{
    union { uint32_t bits; float value; } both;
    both.value = value;
    return both.bits;
}
static inline double f64_of_bits(uint64_t bits)
{
    union { uint64_t bits; double value; } both;
    both.bits = bits;
    return both.value;
}
static inline uint64_t bits_of_f64(double value)
{
    union { uint64_t bits; double value; } both;
    both.value = value;
    return both.bits;
}
static inline float abs_f32(float a)
{
    return @f32_of_bits(@bits_of_f32(a) & 0x7fffffffu);
}
static inline double abs_f64(double a)
{
    return @f64_of_bits(@bits_of_f64(a) & UINT64_C(0x7fffffffffffffff));
}
""")

# --- rounding to whole numbers: what has no fraction stays; the sign of zero too ---
_ROUNDING = """
static inline {c} {op}_{f}({c} a)
{{
#if defined(GRAPHC_HAS_ROUNDING)
    return __builtin_{builtin}(a);
#else
    const {u} bits = @bits_of_{f}(a), sign = bits & {sign};
    if ((bits ^ sign) >= {whole})
        return a;
    {code}
#endif
}}
"""
_CODE = {
    "trunc": "return @{f}_of_bits(@bits_of_{f}(({c})({i})a) | sign);",
    "floor": "{c} t = ({c})({i})a;\n    t = t > a ? t - 1 : t;\n    return @{f}_of_bits(@bits_of_{f}(t) | sign);",
    "ceil": "{c} t = ({c})({i})a;\n    t = t < a ? t + 1 : t;\n    return @{f}_of_bits(@bits_of_{f}(t) | sign);",
    "rint": "const {c} t = @{f}_of_bits(bits ^ sign) + {two};\n    return @{f}_of_bits(@bits_of_{f}(t - {two}) | sign);",
}
_U64 = "UINT64_C(0x{:016x})"
for _f, _c, _u, _i, _sign, _whole, _two in (
    ("f32", "float", "uint32_t", "int32_t", "0x80000000u", "0x4b000000u", "8388608.0f"),
    ("f64", "double", "uint64_t", "int64_t", _U64.format(1 << 63), _U64.format(0x433 << 52), "4503599627370496.0"),
):
    for _op, _text in _CODE.items():
        _builtin = _op + ("f" if _f == "f32" else "")
        _code = _text.format(f=_f, c=_c, i=_i, two=_two)
        _define(_ROUNDING.format(op=_op, f=_f, c=_c, u=_u, sign=_sign, whole=_whole, builtin=_builtin, code=_code))

# --- fused multiply-add ---
_define("""
static inline float fma_f32(float a, float b, float c)
{
#if defined(GRAPHC_HAS_FMA_F32)
    return __builtin_fmaf(a, b, c);
#else
    const double product = (double)a * (double)b, addend = (double)c, total = product + addend;
    const double part = total - product, lost = (product - (total - part)) + (addend - part);
    uint64_t bits = @bits_of_f64(total);
    if (lost != 0 && (bits & 1) == 0 && (bits & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000))
        bits += (lost > 0) == (total > 0) ? 1 : (uint64_t)-1;  /* to odd; a total of 0 has lost nothing */
    return (float)@f64_of_bits(bits);
#endif
}
""")
_define("""
static inline double fma_f64(double a, double b, double c)
{
#if defined(GRAPHC_HAS_FMA_F64)
    return __builtin_fma(a, b, c);
#else
    return @fma_by_integers(a, b, c);
#endif
}
static inline double fma_by_integers(double a, double b, double c)
{
    const uint64_t x = @bits_of_f64(a), y = @bits_of_f64(b), z = @bits_of_f64(c), one = (uint64_t)1 << 52;
    int ea = (int)(x >> 52 & 2047), eb = (int)(y >> 52 & 2047), ec = (int)(z >> 52 & 2047), by, keep;
    uint64_t ma = x & (one - 1), mb = y & (one - 1), mc = z & (one - 1), high, low, c_low = 0, lost, sign = (x ^ y) >> 63;
    if (ec == 2047 && ea != 2047 && eb != 2047)
        return c + c;  /* whatever the product is, it is finite */
    if (ea == 2047 || eb == 2047 || (x << 1) == 0 || (y << 1) == 0)
        return a * b + c;  /* infinities, NaN, products that are zero */
    if ((z << 1) == 0)
        return a * b;
    if (ea != 0)
        ma |= one;
    if (eb != 0)
        mb |= one;
    if (ec != 0)
        mc |= one;
    {   /* high.low, 128 bits, is the product */
        const uint64_t half = UINT64_C(0xffffffff), p = (ma & half) * (mb & half), q = (ma & half) * (mb >> 32);
        const uint64_t r = (ma >> 32) * (mb & half), middle = (p >> 32) + (q & half) + (r & half);
        low = (p & half) | middle << 32;
        high = (ma >> 32) * (mb >> 32) + (q >> 32) + (r >> 32) + (middle >> 32);
    }
    /* both with their first bit at 125 of 128; what they are multiplied by is 2^ea and 2^ec */
    for (ea = (ea + (ea == 0)) + (eb + (eb == 0)) - 2150; (high >> 61) == 0; --ea) {
        high = high << 1 | low >> 63;
        low <<= 1;
    }
    for (ec = ec + (ec == 0) - 1139; (mc >> 61) == 0; --ec)
        mc <<= 1;
    by = ea - ec;
    if (by > 0) {  /* the smaller one moves down; if a bit falls off, the last that is left is 1 */
        @shift_down(&mc, &c_low, by);
    } else {
        @shift_down(&high, &low, -by);
        ea = ec;
    }
    if (sign == z >> 63) {
        low += c_low;
        high += mc + (low < c_low);
    } else if (high > mc || (high == mc && low >= c_low)) {
        high -= mc + (low < c_low);
        low -= c_low;
    } else {
        high = mc - high - (c_low < low);
        low = c_low - low;
        sign ^= 1;
    }
    if (high == 0 && low == 0)
        return 0.0;
    for (; (high >> 63) == 0; --ea) {
        high = high << 1 | low >> 63;
        low <<= 1;
    }
    ea += 127 + 1023;
    if (ea >= 2047)
        return @f64_of_bits(sign << 63 | UINT64_C(0x7ff0000000000000));
    keep = ea >= 1 ? 53 : 52 + ea;  /* subnormal numbers have fewer bits */
    if (keep <= 0)
        return @f64_of_bits(sign << 63 | (keep == 0 && (high > (uint64_t)1 << 63 || low != 0)));
    lost = high << keep;
    high >>= 64 - keep;
    high += lost > (uint64_t)1 << 63 || (lost == (uint64_t)1 << 63 && (low != 0 || (high & 1) != 0));
    return @f64_of_bits(sign << 63 | (high + (ea >= 1 ? (uint64_t)(ea - 1) << 52 : 0)));  /* a carry goes into the exponent */
}
static inline void shift_down(uint64_t *high, uint64_t *low, int by)
{
    uint64_t lost = 0;
    if (by >= 64) {
        lost = *low;
        *low = *high;
        *high = 0;
        by = by < 128 ? by - 64 : 64;
    }
    if (by >= 64) {
        lost |= *low;
        *low = 0;
    } else if (by > 0) {
        lost |= *low << (64 - by);
        *low = *low >> by | *high << (64 - by);
        *high >>= by;
    }
    *low |= lost != 0;
}
""")

# --- the larger and the smaller of two: NaN is passed on, and -0 is less than 0 ---
_EXTREMUM = """
static inline {c} {op}_{f}({c} a, {c} b)
{{
#if defined(__wasm__)
    return __builtin_wasm_{op}_{f}(a, b);
#else
    return a {sign} b ? a : b {sign} a ? b : a == b ? @{f}_of_bits(@bits_of_{f}(a) {both} @bits_of_{f}(b)) : a + b;
#endif
}}
"""
_WHOLE = """
static inline {c} {op}_{t}({c} a, {c} b)
{{
    return a {sign} b ? a : b;
}}
"""
for _op, _sign, _both in (("max", ">", "&"), ("min", "<", "|")):
    for _f, _c in (("f32", "float"), ("f64", "double")):
        _define(_EXTREMUM.format(op=_op, sign=_sign, both=_both, f=_f, c=_c))
    for _bits in (8, 16, 32, 64):
        for _t, _c in ((f"i{_bits}", f"int{_bits}_t"), (f"u{_bits}", f"uint{_bits}_t")):
            _define(_WHOLE.format(op=_op, sign=_sign, t=_t, c=_c))

# --- square roots, digit by digit: a root is never half way between two numbers ---
_ROOT = """
static inline {c} sqrt_{f}({c} a)
{{
#if defined(GRAPHC_HAS_SQRT)
    return __builtin_sqrt{s}(a);
#elif defined(__SSE2__) && defined(__GNUC__)
    return {sse};
#elif defined(GRAPHC_SQRT_{F})
    {c} root;
    __asm__(GRAPHC_SQRT_{F});
    return root;
#else
    {u} m = @bits_of_{f}(a), root = 0, left = 0, bit;
    int e = (int)(m >> {digits});
    if (a == 0 || a != a || m == {inf})
        return a;
    if ((m >> {top}) != 0)
        return @{f}_of_bits({nan});
    if (e != 0)
        m = (m & ({one} - 1)) | {one};
    else
        for (e = 1; (m >> {digits}) == 0; --e)
            m <<= 1;
    e -= {bias};
    m <<= 1 + (e & 1);
    for (bit = {one} << 1; bit != 0; bit >>= 1) {{
        if (left + bit <= m) {{
            m -= left + bit;
            left += 2 * bit;
            root += bit;
        }}
        m <<= 1;
    }}
    root += m != 0 ? root & 1 : 0;
    return @{f}_of_bits((root >> 1) + (({u})((e - (e & 1)) / 2 + {bias} - 1) << {digits}));
#endif
}}
"""
_define(_ROOT.format(
    c="float", f="f32", F="F32", s="f", u="uint32_t", digits=23, inf="0x7f800000u", nan="0x7fc00000u", top=31, bias=127,
    one="((uint32_t)1 << 23)", sse="_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a)))",
))  # fmt: skip
_define(_ROOT.format(
    c="double", f="f64", F="F64", s="", u="uint64_t", digits=52, inf="UINT64_C(0x7ff0000000000000)", top=63, bias=1023,
    nan="UINT64_C(0x7ff8000000000000)", one="((uint64_t)1 << 52)", sse="_mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(a), _mm_set_sd(a)))",
))  # fmt: skip

# --- floats to integers: to the nearest that there is, NaN to 0 ---
_SATURATE = """
static inline {c} {t}_of_{f}({source} a)
{{
    if (!(a > {low}))
        return a != a ? 0 : {least};
    return a >= {high} ? {most} : ({c})a;
}}
"""
for _bits in (8, 16, 32, 64):
    for _f, _c in (("f32", "float"), ("f64", "double")):
        _s = "f" if _f == "f32" else ""
        _define(_SATURATE.format(
            c=f"int{_bits}_t", t=f"i{_bits}", f=_f, source=_c, low=f"-{2 ** (_bits - 1)}.0{_s}", high=f"{2 ** (_bits - 1)}.0{_s}",
            least=f"INT{_bits}_MIN", most=f"INT{_bits}_MAX",
        ))  # fmt: skip
        _define(_SATURATE.format(
            c=f"uint{_bits}_t", t=f"u{_bits}", f=_f, source=_c, low=f"0.0{_s}", high=f"{2 ** _bits}.0{_s}",
            least="0", most=f"UINT{_bits}_MAX",
        ))  # fmt: skip

# --- floats of 16 bits: ties to even ---
_define("""
static inline float f32_of_bf16(uint16_t a)
{
    return @f32_of_bits((uint32_t)a << 16);
}
static inline uint16_t bf16_of_f32(float a)
{
    const uint32_t bits = @bits_of_f32(a);
    return a != a ? (uint16_t)(bits >> 16 | 0x40u) : (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
static inline float f32_of_f16(uint16_t a)
{
    const uint32_t sign = (uint32_t)(a & 0x8000u) << 16, rest = a & 0x7fffu;
    if (rest >= 0x7c00u)
        return @f32_of_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest >= 0x400u)
        return @f32_of_bits(sign | ((rest << 13) + 0x38000000u));
    return @f32_of_bits(sign | @bits_of_f32((float)rest * 5.9604644775390625e-8f));  /* 2^-24 */
}
static inline uint16_t f16_of_f32(float a)
{
    uint32_t bits = @bits_of_f32(a);
    const uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x47800000u)
        return (uint16_t)(sign | 0x7c00u);
    if (bits < 0x38800000u)  /* subnormal: adding 1/2 rounds at 2^-24 */
        return (uint16_t)(sign | (@bits_of_f32(@f32_of_bits(bits) + 0.5f) - 0x3f000000u));
    bits -= 0x38000000u;
    return (uint16_t)(sign | (bits + 0xfffu + (bits >> 13 & 1)) >> 13);
}
static inline uint16_t f16_of_f64(double a)
{
    const float near = (float)a;
    uint32_t bits = @bits_of_f32(near);
    if (near == near && (double)near != a && (bits & 1) == 0)  /* to odd, so that what follows rounds once in all */
        bits += @abs_f64((double)near) > @abs_f64(a) ? UINT32_MAX : 1u;
    return @f16_of_f32(@f32_of_bits(bits));
}
""")


# --- memory that is given ---
_define("""
static inline int check_memory(const memory_region *regions, int count)
{
    int i, j;
    for (i = 0; i < count; ++i) {
        if (regions[i].bytes != 0 && regions[i].first == 0)
            return 1;
        if (regions[i].first % regions[i].alignment != 0)
            return 2;
        if (regions[i].bytes > UINTPTR_MAX - regions[i].first)
            return 3;
    }
    for (i = 0; i < count; ++i)
        for (j = 0; j < i; ++j)
            if ((regions[i].written || regions[j].written) && regions[i].bytes != 0 && regions[j].bytes != 0
                && regions[i].first < regions[j].first + regions[j].bytes
                && regions[j].first < regions[i].first + regions[i].bytes)
                return 3;
    return 0;
}
static inline void set_region(memory_region *region, const void *first, size_t bytes, size_t alignment, int written)
{
    region->first = (uintptr_t)first;
    region->bytes = bytes;
    region->alignment = alignment;
    region->written = written;
}
""")
FUNCTIONS["memory_region"] = """
typedef struct {
    uintptr_t first;
    size_t bytes, alignment;
    int written;
} memory_region;
""".strip()


NEEDS = {"check_memory": ("memory_region", "set_region")}  # what is called beside it


def used(names: Iterable[str]) -> list[str]:
    """The texts of functions, and of those that they call, each after what it calls."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        text = FUNCTIONS[name]
        for other in dict.fromkeys([*re.findall(r"@(\w+)", text), *NEEDS.get(name, ())]):
            add(other)
        done[name] = text.replace("@", "").replace("static inline ", "INLINE ")  # which of them are called, processors decide

    for name in sorted(names):
        add(name)
    return list(done.values())
