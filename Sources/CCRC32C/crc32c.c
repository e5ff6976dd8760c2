#include "crc32c.h"

#include <string.h>

// Eight tables, so that eight bytes are taken at a time. Filled before main.
static uint32_t table[8][256];
static int accelerated;

__attribute__((constructor)) static void prepare(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t value = n;
        for (int bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0x82F63B78u : value >> 1;
        table[0][n] = value;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int row = 1; row < 8; row++) table[row][n] = (table[row - 1][n] >> 8) ^ table[0][table[row - 1][n] & 255];
#if defined(__x86_64__)
    __builtin_cpu_init();
    accelerated = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

uint32_t sluice_crc32c_table(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    crc = ~crc;
    for (; count >= 8; count -= 8, at += 8) {
        crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^ table[4][crc >> 24]
            ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    }
    for (; count > 0; count--, at++) crc = (crc >> 8) ^ table[0][(crc ^ *at) & 255];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    uint64_t state = (uint32_t)~crc;
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        state = __builtin_ia32_crc32di(state, word);
    }
    uint32_t rest = (uint32_t)state;
    for (; count > 0; count--, at++) rest = __builtin_ia32_crc32qi(rest, *at);
    return ~rest;
}
#endif

uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (accelerated) return by_instruction(crc, bytes, count);
#endif
    return sluice_crc32c_table(crc, bytes, count);
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t words_by_instruction(uint32_t crc, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t state = (uint32_t)~crc;
    state = __builtin_ia32_crc32di(state, a);
    state = __builtin_ia32_crc32di(state, b);
    return ~(uint32_t)__builtin_ia32_crc32di(state, c);
}
#endif

uint32_t sluice_crc32c_words(uint32_t crc, uint64_t first, uint64_t second, uint64_t third) {
#if defined(__x86_64__)
    if (accelerated) return words_by_instruction(crc, first, second, third);
#endif
    unsigned char bytes[24];
    uint64_t words[3] = {first, second, third};
    for (int n = 0; n < 24; n++) bytes[n] = (unsigned char)(words[n / 8] >> (n % 8 * 8));
    return sluice_crc32c_table(crc, bytes, sizeof bytes);
}

int sluice_crc32c_is_accelerated(void) { return accelerated; }
