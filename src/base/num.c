/* SPDX-License-Identifier: Apache-2.0
 * Reading: digits become one integer times a power of ten. Where both are exact in a double (Clinger's case) one
 * operation rounds once and the result is exact; all else goes to strtod as digits and an exponent, a form without a
 * decimal point and so without a locale. Printing: digits are tried from few to many until they read back the same;
 * floats of usual size are tried in double arithmetic. */
#include "base/num.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A double's exact halfway points have at most 768 digits; beyond them only "is there more" matters. */
enum { MAX_DIGITS = 780, EXACT_POWER = 22 };

static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- reading */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t ilki_base_num_scan(const char *s, size_t n, size_t *stop)
{
    size_t i = 0, from;
    if (i < n && s[i] == '-')
        i++;
    from = i;
    while (i < n && is_digit(s[i]))
        i++;
    if (i == from)
        goto bad;
    if (s[from] == '0' && i > from + 1) {
        i = from + 1;
        goto bad;
    }
    if (i < n && s[i] == '.') {
        for (from = ++i; i < n && is_digit(s[i]);)
            i++;
        if (i == from)
            goto bad;
    }
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        i++;
        if (i < n && (s[i] == '+' || s[i] == '-'))
            i++;
        for (from = i; i < n && is_digit(s[i]);)
            i++;
        if (i == from)
            goto bad;
    }
    return i;

bad:
    if (stop)
        *stop = i;
    return 0;
}

/* 0.d1d2d3... * 10^magnitude without leading or trailing zeros; no digits: zero. */
typedef struct decimal {
    const char *first, *end; /* of the digits that count; a point may lie between */
    int64_t n_digits, magnitude;
    bool negative;
} decimal;

static int64_t read_exponent(const char *p, const char *end)
{
    int64_t v = 0;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end; p++)
        if (v < INT64_MAX / 100)
            v = v * 10 + (*p - '0');
    return negative ? -v : v;
}

static decimal split(const char *s, size_t n)
{
    decimal d = {0};
    const char *p = s, *end = s + n, *e;
    d.negative = n > 0 && *p == '-';
    p += d.negative;
    for (e = p; e < end && *e != 'e' && *e != 'E';)
        e++;
    int64_t exponent = e < end ? read_exponent(e + 1, end) : 0, n_whole = 0, seen = 0;
    bool point = false;
    for (const char *c = p; c < e; c++) {
        if (*c == '.') {
            point = true;
            continue;
        }
        if (!d.first && *c != '0') {
            d.first = c;
            d.magnitude = point ? -seen : 0;
            seen = 0;
        }
        seen += point || d.first;
        n_whole += !point && d.first;
        if (d.first && *c != '0') {
            d.end = c + 1;
            d.n_digits = seen;
        }
    }
    d.magnitude += n_whole + exponent;
    return d;
}

/* The first 19 digits at most as an integer. */
static uint64_t leading_digits(const decimal *d)
{
    uint64_t v = 0;
    int n = 0;
    for (const char *c = d->first; c < d->end && n < 19; c++) {
        if (*c != '.') {
            v = v * 10 + (uint64_t)(*c - '0');
            n++;
        }
    }
    return v;
}

static double slow_double(const decimal *d)
{
    char text[MAX_DIGITS + 32];
    int64_t n = 0;
    for (const char *c = d->first; c < d->end && n < MAX_DIGITS; c++)
        if (*c != '.')
            text[n++] = *c;
    if (d->n_digits > n)
        text[n++] = '1';
    snprintf(text + n, sizeof text - (size_t)n, "e%lld", (long long)(d->magnitude - n));
    return strtod(text, NULL);
}

bool ilki_base_num_double(const char *s, size_t n, double *out)
{
    decimal d = split(s, n);
    double v = 0;
    int64_t power = d.magnitude - d.n_digits;
    if (d.n_digits > 0) {
        uint64_t digits = d.n_digits <= 19 ? leading_digits(&d) : UINT64_MAX;
        if (digits <= (uint64_t)1 << 53 && power >= -EXACT_POWER && power <= EXACT_POWER)
            v = power < 0 ? (double)digits / powers[-power] : (double)digits * powers[power];
        else if (d.magnitude > 310)
            v = HUGE_VAL;
        else if (d.magnitude > -330)
            v = slow_double(&d);
    }
    *out = d.negative ? -v : v;
    return isfinite(v);
}

/* Digits alone, few enough for 64 bits: what almost every integer of a file is. */
static bool plain_int(const char *s, size_t n, int64_t *out)
{
    int64_t v = 0;
    if (n == 0 || n > 18)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s[i]))
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return true;
}

bool ilki_base_num_int(const char *s, size_t n, int64_t *out)
{
    if (plain_int(s, n, out))
        return true;
    decimal d = split(s, n);
    uint64_t v = leading_digits(&d), limit = (uint64_t)INT64_MAX + d.negative;
    if (d.n_digits > d.magnitude && d.n_digits > 0)
        return false;
    if (d.n_digits > 0 && d.magnitude > 19)
        return false;
    for (int64_t i = d.n_digits; d.n_digits > 0 && i < d.magnitude; i++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v))
            return false;
    if (v > limit)
        return false;
    *out = d.negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* ---- printing */

/* digits (no trailing zero but "0" itself) and the power of ten of the first one -> JSON text */
static size_t compose(char *out, bool negative, const char *digits, size_t n, int exponent)
{
    char *p = out;
    if (negative)
        *p++ = '-';
    if (exponent >= -5 && exponent < 0) {
        memcpy(p, "0.0000", 6);
        p += 1 - exponent;
        memcpy(p, digits, n);
        p += n;
    } else if (exponent >= 0 && exponent < 17) {
        for (size_t i = 0; i < n || i <= (size_t)exponent; i++) {
            if (i == (size_t)exponent + 1)
                *p++ = '.';
            *p++ = i < n ? digits[i] : '0';
        }
    } else {
        *p++ = digits[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, digits + 1, n - 1);
            p += n - 1;
        }
        p += snprintf(p, 8, "e%d", exponent);
    }
    *p = '\0';
    return (size_t)(p - out);
}

static size_t strip_zeros(const char *digits, size_t n)
{
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

/* The first n digits of v > 0, rounded, and its power of ten. The locale's point is passed over, whatever its bytes. */
static int print_digits(double v, int n, char *digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, v);
    char *e = strchr(text, 'e');
    size_t used = 0;
    for (const char *c = text; c < e; c++)
        if (is_digit(*c))
            digits[used++] = *c;
    return (int)strtol(e + 1, NULL, 10);
}

static bool reads_back(const char *digits, int n, int exponent, double v, bool single)
{
    char text[64];
    snprintf(text, sizeof text, "%.*se%d", n, digits, exponent - (n - 1));
    return single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

/* Any finite v > 0. The nearest decimal of n digits may fail where the next one above reads back: below a power of two
 * the doubles lie twice as dense. `single`: v is a float and is to read back as one. */
static size_t print_slow(double v, bool negative, bool single, char *out)
{
    char digits[32];
    /* 15 (6) digits tell normal doubles (floats) apart, so a shorter form shows as zeros; subnormals start at one. */
    int max = single ? 9 : 17, n = single ? 6 : 15, exponent = 0;
    if (v < (single ? 1.1754943508222875e-38 : 2.2250738585072014e-308))
        n = 1;
    for (; n <= max; n++) {
        exponent = print_digits(v, n, digits);
        if (reads_back(digits, n, exponent, v, single))
            break;
        if (digits[n - 1] < '9') {
            digits[n - 1]++;
            if (reads_back(digits, n, exponent, v, single))
                break;
        }
    }
    return compose(out, negative, digits, strip_zeros(digits, (size_t)n), exponent);
}

static size_t print_zero(bool negative, char *out)
{
    /* "-0" would read as an integer without a sign elsewhere */
    return (size_t)snprintf(out, ILKI_NUM_BYTES, "%s", negative ? "-0.0" : "0");
}

static size_t print_integer(uint64_t v, bool negative, char *out)
{
    char digits[24];
    size_t n = sizeof digits;
    for (; v || n == sizeof digits; v /= 10)
        digits[--n] = (char)('0' + v % 10);
    char *p = out;
    if (negative)
        *p++ = '-';
    memcpy(p, digits + n, sizeof digits - n);
    p += sizeof digits - n;
    *p = '\0';
    return (size_t)(p - out);
}

size_t ilki_base_num_print_double(double v, char out[ILKI_NUM_BYTES])
{
    assert(isfinite(v));
    bool negative = signbit(v);
    v = fabs(v);
    if (v == 0)
        return print_zero(negative, out);
    if (v < 9007199254740992.0 && v == floor(v))
        return print_integer((uint64_t)v, negative, out);
    return print_slow(v, negative, false, out);
}

/* digits / 10^power as a float, digits < 2^34, power <= 22: the double on the way is rounded once. False where it lies
 * halfway between floats without being exact, so that a second rounding could go another way than one would. */
static bool float_of(uint64_t digits, int power, float *out)
{
    double d = power < 0 ? (double)digits * powers[-power] : (double)digits / powers[power];
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    *out = (float)d;
    bool halfway = (bits & 0x1fffffff) == 0x10000000;
    /* a halfway point has 25 bits, so the product tells exactly up to 5^12, and beyond it none has nine digits */
    return !halfway || power <= 0 || (power <= 12 && d * powers[power] == (double)digits);
}

size_t ilki_base_num_print_float(float f, char out[ILKI_NUM_BYTES])
{
    assert(isfinite(f));
    double v = fabs((double)f);
    bool negative = signbit(f);
    float back;
    if (v == 0)
        return print_zero(negative, out);
    if (v < 16777216.0 && v == floor(v))
        return print_integer((uint64_t)v, negative, out);
    if (v < 1e-9 || v >= 1e9)
        return print_slow(v, negative, true, out);
    /* Nine digits always read back; fewer are tried as long as they do. 10^(exponent) <= v < 10^(exponent + 1). */
    int exponent = 0, power;
    while (exponent < 9 && v >= powers[exponent + 1])
        exponent++;
    while (v < 1 && exponent > -9 && v * powers[-exponent] < 1)
        exponent--;
    power = 8 - exponent;
    uint64_t best = 0;
    for (int n = 9; n >= 1; n--, power--) {
        double scaled = power < 0 ? v / powers[-power] : v * powers[power];
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if (!float_of(digits, power, &back) || (double)back != v)
            break;
        best = digits;
    }
    power++;
    if (best == 0)
        return print_slow(v, negative, true, out);
    char text[ILKI_NUM_BYTES];
    size_t n = print_integer(best, false, text);
    return compose(out, negative, text, strip_zeros(text, n), (int)n - 1 - power);
}
