// Text looked at sixteen bytes at a time, which Swift has no efficient way for: its SIMD masks cost more than a loop
// over the bytes.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/// How many of the sixteen bytes at `text` come before the first that is a quote, a backslash, a control character or
/// not ASCII.
static inline unsigned sluice_plain_run(const uint8_t *text) {
#if defined(__x86_64__)
    __m128i bytes = _mm_loadu_si128((const __m128i *)text);
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    // Signed: bytes beyond ASCII are negative.
    __m128i others = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    __m128i special = _mm_or_si128(_mm_or_si128(quotes, backslashes), others);
    return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(special) | 0x10000u);
#elif defined(__aarch64__)
    uint8x16_t bytes = vld1q_u8(text);
    uint8x16_t quotes = vceqq_u8(bytes, vdupq_n_u8('"'));
    uint8x16_t backslashes = vceqq_u8(bytes, vdupq_n_u8('\\'));
    uint8x16_t others = vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(0x20));
    uint8x16_t special = vorrq_u8(vorrq_u8(quotes, backslashes), others);
    // Four bits for each byte.
    uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(special), 4)), 0);
    return mask ? (unsigned)(__builtin_ctzll(mask) >> 2) : 16;
#else
    unsigned run = 0;
    while (run < 16 && text[run] >= 0x20 && text[run] < 0x80 && text[run] != '"' && text[run] != '\\') run++;
    return run;
#endif
}

/// One bit for each of the sixteen bytes at `text` that is no digit, and one more above them.
static inline unsigned sluice_other_than_digits(const uint8_t *text) {
#if defined(__x86_64__)
    __m128i digits = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)text), _mm_set1_epi8('0'));
    __m128i same = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    return ~(unsigned)_mm_movemask_epi8(same);
#else
    unsigned others = 0x10000;
    for (unsigned byte = 0; byte < 16; byte++) others |= (unsigned)(text[byte] - '0' > 9u) << byte;
    return others;
#endif
}

/// The high bit of each of eight bytes that is a quote, a backslash, a control character or not ASCII.
static inline uint64_t sluice_special_bytes(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quotes = word ^ (ones * 0x22), backslashes = word ^ (ones * 0x5C);
    uint64_t matches = ((quotes - ones) & ~quotes) | ((backslashes - ones) & ~backslashes);
    return (matches | ((word - ones * 0x20) & ~word) | word) & (ones * 0x80);
}

/// Copies text up to the first eight bytes that hold a quote, a backslash, a control character or one that is not ASCII.
///
/// Returns how much was copied; that is all of it or a multiple of eight. Nothing is read outside of the text; the target
/// has room for 8 bytes more.
static inline size_t sluice_copy_plain(const uint8_t *source, size_t count, uint8_t *target) {
    size_t at = 0;
    for (; count - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, source + at, 8);
        memcpy(target + at, &word, 8);
        if (sluice_special_bytes(word)) return at;
    }
    size_t rest = count - at;
    if (rest == 0) return count;
    // What is missing to eight bytes is blank.
    uint64_t word = 0x2020202020202020u << (8 * rest);
    if (rest >= 4) {
        uint32_t low, high;
        memcpy(&low, source + at, 4);
        memcpy(&high, source + count - 4, 4);
        word |= (uint64_t)high << (8 * (rest - 4)) | low;
    } else {
        word |= source[at];
        if (rest > 1) word |= (uint64_t)source[at + 1] << 8;
        if (rest > 2) word |= (uint64_t)source[at + 2] << 16;
    }
    if (sluice_special_bytes(word)) return at;
    memcpy(target + at, &word, 8);
    return count;
}

/// Copies `count` bytes; 32 can be read and written, whatever the count is.
static inline void sluice_copy_short(const uint8_t *source, size_t count, uint8_t *target) {
    if (count <= 32) {
        memcpy(target, source, 16);
        memcpy(target + 16, source + 16, 16);
    } else {
        memcpy(target, source, count);
    }
}

/// Whether the first `count` bytes are equal; sixteen can be read of both where `count` is at most 16, else `count`.
static inline int sluice_same_bytes(const uint8_t *a, const uint8_t *b, size_t count) {
#if defined(__x86_64__)
    if (count <= 16) {
        __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
        return (((unsigned)_mm_movemask_epi8(same) | ~0u << count) & 0xFFFFu) == 0xFFFFu;
    }
#endif
    return memcmp(a, b, count) == 0;
}

#include "rows.h"
#include "escape.h"
