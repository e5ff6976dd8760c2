// Text looked at sixteen bytes at a time, which Swift has no efficient way for: its SIMD masks cost more than a loop
// over the bytes.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#include <tmmintrin.h>
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

/// Sixteen bytes for each set of bytes, out of eight, that a backslash must precede: where in `bytes ∥ backslashes` each
/// output byte comes from.
#define SLUICE_ESCAPE_TABLE_SIZE (256 * 16)

static inline void sluice_make_escape_table(uint8_t *table) {
    for (unsigned set = 0; set < 256; set++) {
        uint8_t *entry = table + set * 16;
        unsigned at = 0;
        memset(entry, 8, 16);
        for (unsigned byte = 0; byte < 8; byte++) {
            if (set >> byte & 1) entry[at++] = 8;
            entry[at++] = (uint8_t)byte;
        }
    }
}

/// Whether this processor has what ``sluice_escape`` is made of.
static inline int sluice_can_escape(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}

/// Copies text, with a backslash before each quote and backslash, up to the first eight bytes that hold a control
/// character or one that is not ASCII, or to the end.
///
/// `source` and `target` are moved behind what was read and written. The target has room for twice what is left of the
/// source, and 16 bytes more. Nothing is read outside of the text. Needs ``sluice_can_escape``.
#if defined(__x86_64__)
__attribute__((target("ssse3,popcnt")))
#endif
static inline void sluice_escape(const uint8_t **source, const uint8_t *end, uint8_t **target, const uint8_t *table) {
    const uint8_t *in = *source;
    uint8_t *out = *target;
    while (in < end) {
        size_t count = (size_t)(end - in);
        uint64_t word = 0;
        if (count >= 8) {
            count = 8;
            memcpy(&word, in, 8);
        } else if (count >= 4) {
            uint32_t low, high;
            memcpy(&low, in, 4);
            memcpy(&high, in + count - 4, 4);
            word = (uint64_t)high << (8 * (count - 4)) | low;
        } else {
            word = in[0];
            if (count > 1) word |= (uint64_t)in[1] << 8;
            if (count > 2) word |= (uint64_t)in[2] << 16;
        }
        unsigned wanted = 0xFFu >> (8 - count);
#if defined(__x86_64__)
        __m128i backslash = _mm_set1_epi8('\\');
        __m128i bytes = _mm_unpacklo_epi64(_mm_cvtsi64_si128((long long)word), backslash);
        unsigned odd = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
        if (odd & wanted) break;
        __m128i marked = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, backslash));
        unsigned set = (unsigned)_mm_movemask_epi8(marked) & wanted;
        __m128i order = _mm_loadu_si128((const __m128i *)(table + set * 16));
        _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(bytes, order));
#elif defined(__aarch64__)
        static const uint8_t weights[8] = {1, 2, 4, 8, 16, 32, 64, 128};
        uint8x8_t bytes = vcreate_u8(word);
        uint8x8_t bits = vld1_u8(weights);
        if (vaddv_u8(vand_u8(vclt_s8(vreinterpret_s8_u8(bytes), vdup_n_s8(0x20)), bits)) & wanted) break;
        uint8x8_t marked = vorr_u8(vceq_u8(bytes, vdup_n_u8('"')), vceq_u8(bytes, vdup_n_u8('\\')));
        unsigned set = vaddv_u8(vand_u8(marked, bits)) & wanted;
        vst1q_u8(out, vqtbl1q_u8(vcombine_u8(bytes, vdup_n_u8('\\')), vld1q_u8(table + set * 16)));
#else
        unsigned set = 0;
        (void)table;
        break;
#endif
        in += count;
        out += count + (unsigned)__builtin_popcount(set);
    }
    *source = in;
    *target = out;
}
