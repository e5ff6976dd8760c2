#ifndef SLUICE_CRC32C_H
#define SLUICE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continuing from `crc`; begin with 0.
/// Uses the SSE4.2 instruction where the processor has it, else a table.
uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same over three words in little-endian order.
uint32_t sluice_crc32c_words(uint32_t crc, uint64_t first, uint64_t second, uint64_t third);

/// The table's way, whatever the processor can; for tests.
uint32_t sluice_crc32c_table(uint32_t crc, const void *bytes, size_t count);

/// 1 when the processor's instruction is used.
int sluice_crc32c_is_accelerated(void);

#endif
