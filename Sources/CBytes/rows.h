// Elements of an array that are alike: what each of their bytes may be. Included by shim.h.
/// Elements that are longer have no layout.
#define SLUICE_ROW_LENGTH 64
/// Layouts of one array; elements that have none of them are gone through value by value.
#define SLUICE_ROW_LAYOUTS 8
/// Elements with more values have no layout.
#define SLUICE_ROW_VALUES 16

/// What each byte of an array's element may be, so that another element is checked by comparing.
///
/// An element is an object without objects inside; its layout is where its values are and how long. Keys and punctuation
/// must be the same, a digit may be any that keeps the number well-formed, a byte of a string any plain one.
typedef struct {
    /// A byte may be at least `low`, and at most that much more; whatever lies behind the element may be anything.
    uint8_t low[SLUICE_ROW_LENGTH];
    uint8_t span[SLUICE_ROW_LENGTH];
    /// Where quotes and points are, which tells layouts apart; a byte that has no mark is no quote. 0 when unused.
    uint64_t marks;
    uint8_t length;
    uint8_t starts[SLUICE_ROW_VALUES];
    uint8_t counts[SLUICE_ROW_VALUES];
} sluice_row_layout;

/// What is known of an array's elements.
typedef struct {
    /// Which layout has marks of that hash, the last one learned where several do.
    uint8_t index[64];
    unsigned count;
    /// Whether the processor compares 32 bytes at a time.
    int is_wide;
    sluice_row_layout known[SLUICE_ROW_LAYOUTS];
} sluice_row_layouts;

/// Whether this processor has what ``sluice_after_rows`` is faster with.
static inline int sluice_is_wide(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
#else
    return 0;
#endif
}

static inline void sluice_forget_layouts(sluice_row_layouts *layouts, int is_wide) {
    layouts->is_wide = is_wide;
    memset(layouts->index, 0, sizeof layouts->index);
    layouts->count = 0;
    layouts->known[0].marks = 0;
}

static inline unsigned sluice_value_start(const sluice_row_layout *layout, unsigned value) {
    return layout->starts[value];
}

static inline unsigned sluice_value_count(const sluice_row_layout *layout, unsigned value) {
    return layout->counts[value];
}

#if defined(__x86_64__)
/// The quotes and points up to the first closing brace of 64 bytes, one bit each; and that brace.
static inline uint64_t sluice_row_marks(const uint8_t *text, uint64_t *brace) {
    uint64_t marks = 0, braces = 0;
    for (unsigned block = 0; block < SLUICE_ROW_LENGTH; block += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(text + block));
        __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        __m128i points = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('.'));
        __m128i closing = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('}'));
        marks |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(quotes, points)) << block;
        braces |= (uint64_t)(unsigned)_mm_movemask_epi8(closing) << block;
    }
    *brace = braces & -braces;
    return marks & (braces ^ (braces - 1));
}

static inline unsigned sluice_marks_hash(uint64_t marks) { return (unsigned)((marks * 0x9E3779B97F4A7C15u) >> 58); }

/// The layout with those marks; null when there is none.
__attribute__((noinline)) static const sluice_row_layout *sluice_search_marks(
    const sluice_row_layouts *layouts, uint64_t marks
) {
    for (unsigned index = 0; index < layouts->count; index++) {
        if (layouts->known[index].marks == marks) return layouts->known + index;
    }
    return 0;
}

/// The layout of an element, out of its marks and its first closing brace; null when it has none of those known.
static inline const sluice_row_layout *sluice_layout_of_marks(
    const sluice_row_layouts *layouts, uint64_t marks, unsigned length
) {
    if (marks == 0) return 0;
    const sluice_row_layout *layout = layouts->known + layouts->index[sluice_marks_hash(marks)];
    if (layout->marks != marks) {
        layout = sluice_search_marks(layouts, marks);
        if (layout == 0) return 0;
    }
    return layout->length == length ? layout : 0;
}
#endif

/// As ``sluice_layout_of``, 16 bytes at a time. `length` is set in any case, to 0 where there is no closing brace.
static inline const sluice_row_layout *sluice_layout_of_narrow(
    const sluice_row_layouts *layouts, const uint8_t *text, unsigned *length
) {
#if defined(__x86_64__)
    uint64_t brace;
    uint64_t marks = sluice_row_marks(text, &brace);
    *length = brace ? (unsigned)__builtin_ctzll(brace) + 1 : 0;
    const sluice_row_layout *layout = sluice_layout_of_marks(layouts, marks, *length);
    if (layout == 0) return 0;
    __m128i good = _mm_set1_epi8(-1);
    for (unsigned block = 0; block < SLUICE_ROW_LENGTH; block += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(text + block));
        // A backslash may stand nowhere: as a zero it is no plain byte.
        bytes = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')), bytes);
        __m128i above = _mm_sub_epi8(bytes, _mm_loadu_si128((const __m128i *)(layout->low + block)));
        __m128i least = _mm_min_epu8(above, _mm_loadu_si128((const __m128i *)(layout->span + block)));
        good = _mm_and_si128(good, _mm_cmpeq_epi8(least, above));
    }
    return _mm_movemask_epi8(good) == 0xFFFF ? layout : 0;
#else
    (void)layouts;
    (void)text;
    *length = 0;
    return 0;
#endif
}

/// Behind the elements from `row` on that have a layout: at the first one that has none or, which `is_end` then says, at
/// the closing bracket behind the last one. The text ends in a bracket, at `end`.
///
/// Where the next element begins is told by the closing brace, not by the layout: so the processor looks at the next
/// one while it still compares this one.
#define SLUICE_AFTER_ROWS(layout_of) \
    while (end - row >= SLUICE_ROW_LENGTH) { \
        unsigned length; \
        if (layout_of(layouts, row, &length) == 0) return row; \
        const uint8_t *behind = row + length; \
        if (behind == end) return row; \
        while (*behind == ' ' || *behind == '\n' || *behind == '\r' || *behind == '\t') behind++; \
        if (*behind == ']') { \
            *is_end = 1; \
            return behind; \
        } \
        if (*behind != ',') return row; \
        behind++; \
        while (*behind == ' ' || *behind == '\n' || *behind == '\r' || *behind == '\t') behind++; \
        row = behind; \
    } \
    return row;

#if defined(__x86_64__)
/// As ``sluice_layout_of_narrow``, 32 bytes at a time.
__attribute__((target("avx2,bmi"))) static inline const sluice_row_layout *sluice_layout_of_wide(
    const sluice_row_layouts *layouts, const uint8_t *text, unsigned *length
) {
    __m256i first = _mm256_loadu_si256((const __m256i *)text);
    __m256i second = _mm256_loadu_si256((const __m256i *)(text + 32));
    __m256i quote = _mm256_set1_epi8('"'), point = _mm256_set1_epi8('.'), brace = _mm256_set1_epi8('}');
    __m256i backslash = _mm256_set1_epi8('\\');
    uint64_t braces = (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(second, brace)) << 32
        | (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(first, brace));
    *length = braces ? (unsigned)__builtin_ctzll(braces) + 1 : 0;
    __m256i low = _mm256_or_si256(_mm256_cmpeq_epi8(first, quote), _mm256_cmpeq_epi8(first, point));
    __m256i high = _mm256_or_si256(_mm256_cmpeq_epi8(second, quote), _mm256_cmpeq_epi8(second, point));
    uint64_t marks = (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32 | (uint32_t)_mm256_movemask_epi8(low);
    const sluice_row_layout *layout = sluice_layout_of_marks(layouts, marks & (braces ^ (braces - 1)), *length);
    if (layout == 0) return 0;
    // A backslash may stand nowhere: as a zero it is no plain byte.
    first = _mm256_andnot_si256(_mm256_cmpeq_epi8(first, backslash), first);
    second = _mm256_andnot_si256(_mm256_cmpeq_epi8(second, backslash), second);
    first = _mm256_sub_epi8(first, _mm256_loadu_si256((const __m256i *)layout->low));
    second = _mm256_sub_epi8(second, _mm256_loadu_si256((const __m256i *)(layout->low + 32)));
    __m256i good = _mm256_and_si256(
        _mm256_cmpeq_epi8(_mm256_min_epu8(first, _mm256_loadu_si256((const __m256i *)layout->span)), first),
        _mm256_cmpeq_epi8(_mm256_min_epu8(second, _mm256_loadu_si256((const __m256i *)(layout->span + 32))), second));
    return _mm256_movemask_epi8(good) == -1 ? layout : 0;
}

__attribute__((target("avx2,bmi"), noinline)) static const uint8_t *sluice_after_rows_wide(
    const sluice_row_layouts *layouts, const uint8_t *row, const uint8_t *end, int *is_end
) {
    SLUICE_AFTER_ROWS(sluice_layout_of_wide)
}
#endif

static inline const uint8_t *sluice_after_rows(
    const sluice_row_layouts *layouts, const uint8_t *row, const uint8_t *end, int *is_end
) {
#if defined(__x86_64__)
    if (layouts->is_wide) return sluice_after_rows_wide(layouts, row, end, is_end);
#endif
    SLUICE_AFTER_ROWS(sluice_layout_of_narrow)
}

/// The layout that the element at `text` has; null when it has none of those known. 64 bytes can be read.
static inline const sluice_row_layout *sluice_layout_of(const sluice_row_layouts *layouts, const uint8_t *text) {
    unsigned length;
#if defined(__x86_64__)
    if (layouts->is_wide) return sluice_layout_of_wide(layouts, text, &length);
#endif
    return sluice_layout_of_narrow(layouts, text, &length);
}

/// Keeps the layout of an element that has been checked, as long as there is room for it.
///
/// `ends` are where its values begin and end, in pairs; `strings` has a bit for each that is a string. 64 bytes can be read.
/// Does nothing where elements like this have no layout.
static inline void sluice_learn_layout(
    sluice_row_layouts *layouts, const uint8_t *text, size_t length, const uint8_t *const *ends, unsigned count,
    unsigned strings
) {
#if defined(__x86_64__)
    if (length > SLUICE_ROW_LENGTH || count > SLUICE_ROW_VALUES || layouts->count == SLUICE_ROW_LAYOUTS) return;
    uint64_t brace;
    uint64_t marks = sluice_row_marks(text, &brace);
    if (brace != 1ull << (length - 1)) return;
    sluice_row_layout *layout = layouts->known + layouts->count;
    layout->marks = 0;
    static const uint8_t positions[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned block = 0; block < SLUICE_ROW_LENGTH; block += 16) {
        __m128i at = _mm_add_epi8(_mm_loadu_si128((const __m128i *)positions), _mm_set1_epi8((char)block));
        __m128i inside = _mm_cmplt_epi8(at, _mm_set1_epi8((char)length));
        __m128i bytes = _mm_loadu_si128((const __m128i *)(text + block));
        _mm_storeu_si128((__m128i *)(layout->low + block), _mm_and_si128(bytes, inside));
        _mm_storeu_si128((__m128i *)(layout->span + block), _mm_andnot_si128(inside, _mm_set1_epi8(-1)));
    }
    for (unsigned value = 0; value < count; value++) {
        size_t start = (size_t)(ends[2 * value] - text), end = (size_t)(ends[2 * value + 1] - text);
        layout->starts[value] = (uint8_t)start;
        layout->counts[value] = (uint8_t)(end - start);
        if (strings >> value & 1) {
            for (size_t at = start; at < end; at++) {
                // Has a mark, which might be a quote's.
                if (text[at] == '.') continue;
                layout->low[at] = 0x20;
                layout->span[at] = 0x7F - 0x20;
            }
            continue;
        }
        size_t first = start + (text[start] == '-');
        for (size_t at = first; at < end; at++) {
            if (text[at] == '.') continue;
            if ((uint8_t)(text[at] - '0') > 9) return;
            layout->low[at] = '0';
            layout->span[at] = 9;
        }
        // Before more digits a zero is no beginning.
        if (first + 1 < end && text[first + 1] != '.') {
            layout->low[first] = '1';
            layout->span[first] = 8;
        }
    }
    layout->length = (uint8_t)length;
    layout->marks = marks;
    layouts->index[sluice_marks_hash(marks)] = (uint8_t)layouts->count;
    layouts->count++;
#else
    (void)layouts, (void)text, (void)length, (void)ends, (void)count, (void)strings;
#endif
}
