// Elementary functions of several numbers at once, and the few operations that loops over them need.
//
// For kernels compiled once for each instruction set: `Doubles` are as many as one register of it holds. Everything has
// internal linkage and calls no function of another header, or the linker could use a copy made for a newer processor
// everywhere. Results are within 4e-16 of the exact ones, relative, where these are normal numbers; smaller ones become
// zero. Infinities and NaN come out as from the standard library.
#pragma once

#include <cstdint>

namespace multilevel::vector_math {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 8;
#elif defined(__AVX2__)
constexpr int lanes = 4;
#elif defined(__GNUC__)
constexpr int lanes = 2;
#else
constexpr int lanes = 1;
#endif

#if defined(__GNUC__)
using Doubles = double __attribute__((vector_size(8 * lanes)));
using Bits = std::uint64_t __attribute__((vector_size(8 * lanes)));
#define VECTOR_FUNCTION inline __attribute__((always_inline))
#else
using Doubles = double;
using Bits = std::uint64_t;
#define VECTOR_FUNCTION inline
#endif

VECTOR_FUNCTION Doubles all(double x) { return Doubles{} + x; }

VECTOR_FUNCTION Doubles load(const double* from) {
    Doubles x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
}

VECTOR_FUNCTION void store(double* to, Doubles x) { __builtin_memcpy(to, &x, sizeof x); }

// exp(x) = 2^k exp(r), |r| <= log(2) / 2, the latter by Taylor's series
VECTOR_FUNCTION Doubles exp(Doubles x) {
    constexpr double largest = 709.782712893383973, smallest = -707.0;
    constexpr double ln_2_high = 6.93147180369123816490e-01, ln_2_low = 1.90821492927058770002e-10;
    constexpr double to_integer = 0x1.8p52;  // sums with it have no fraction
    Doubles bounded = x < smallest ? all(smallest) : x;
    bounded = bounded > 710.0 ? all(710.0) : bounded;
    const Doubles shifted = bounded * 1.44269504088896340736 + to_integer;
    const Doubles k = shifted - to_integer;
    const Doubles r = (bounded - k * ln_2_high) - k * ln_2_low;
    Doubles q = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    const Doubles p = 1.0 + (r + r * r * q);
    // half of 2^k, whose exponent does not overflow; k stands in the last bits of `shifted`
    const Bits half = (__builtin_bit_cast(Bits, shifted) + 1022u) << 52;
    const Doubles result = p * __builtin_bit_cast(Doubles, half) * 2.0;
    return x > largest ? all(__builtin_inf()) : (x < smallest ? all(0.0) : result);
}

// log(1 + e) for 0 <= e <= 1. With 1 + f = 1 + e or (1 + e) / 2 and s = f / (2 + f) it is 2 atanh(s), whose leading
// term is 2 s = f - s f.
VECTOR_FUNCTION Doubles log1p_unit(Doubles e) {
    constexpr double ln_2 = 0.693147180559945309417;
    const auto halved = e > 0.41421356237309503;
    const Doubles f = halved ? (e - 1.0) * 0.5 : e, s = f / (f + 2.0), z = s * s;
    Doubles q = z * (1.0 / 19.0) + 1.0 / 17.0;
    q = q * z + 1.0 / 15.0;
    q = q * z + 1.0 / 13.0;
    q = q * z + 1.0 / 11.0;
    q = q * z + 1.0 / 9.0;
    q = q * z + 1.0 / 7.0;
    q = q * z + 1.0 / 5.0;
    q = q * z + 1.0 / 3.0;
    return (halved ? all(ln_2) : all(0.0)) + (f - s * (f - 2.0 * z * q));
}

VECTOR_FUNCTION Doubles minus_absolute(Doubles x) { return x < 0.0 ? x : -x; }
VECTOR_FUNCTION Doubles positive_part(Doubles x) { return x < 0.0 ? all(0.0) : x; }

// log(1 + exp(x))
VECTOR_FUNCTION Doubles softplus(Doubles x) { return positive_part(x) + log1p_unit(exp(minus_absolute(x))); }

// log(1 + exp(x)) and its derivatives, the first being 1 / (1 + exp(-x))
struct Softplus {
    Doubles f0, f1, f2, f3;
};

VECTOR_FUNCTION Softplus softplus_derivatives(Doubles x) {
    const Doubles e = exp(minus_absolute(x)), r = 1.0 / (1.0 + e), er = e * r;
    const Doubles curvature = er * r, bend = curvature * (r - er);
    const auto above = x > 0.0;
    return {positive_part(x) + log1p_unit(e), above ? r : er, curvature, above ? -bend : bend};
}

}  // namespace
}  // namespace multilevel::vector_math
