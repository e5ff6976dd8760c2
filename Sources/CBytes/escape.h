// Text with a backslash where JSON needs one. Included by shim.h.
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
#if defined(__x86_64__)
    // Most of the text; its last bytes are left to the loop below, and so are bytes that it stops at.
    while (end - in >= 8) {
        __m128i backslash = _mm_set1_epi8('\\');
        __m128i bytes = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)in), backslash);
        if (_mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)))) break;
        __m128i marked = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, backslash));
        unsigned set = (unsigned)_mm_movemask_epi8(marked) & 0xFFu;
        __m128i order = _mm_loadu_si128((const __m128i *)(table + set * 16));
        _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(bytes, order));
        in += 8;
        out += 8 + (unsigned)__builtin_popcount(set);
    }
#endif
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
