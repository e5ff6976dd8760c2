// State as chunks with checksums. libraft checks a snapshot's metadata only, so its contents carry their own.
//
// All numbers are little-endian:
//   header  "SLUICHNK" · u32 format (1) · u32 count of chunks · u64 index · u64 term · u32 CRC32C of these 32 bytes · u32 zero
//   chunk   u64 length · u32 CRC32C of the contents · u32 zero · contents · zeros up to a multiple of 8
// The whole is a multiple of 8 bytes long.
#include "internal.h"

#include <crc32c.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the formats on disk are written as they are in memory, on little-endian machines"
#endif

enum { HEADER = 40, CHUNK_HEADER = 16, FORMAT = 1 };

static const char magic[8] = {'S', 'L', 'U', 'I', 'C', 'H', 'N', 'K'};

struct craft_chunks {
    uint8_t *bytes;
    size_t length, capacity;
    uint32_t count;
};

static size_t padded(size_t length) { return (length + 7) & ~(size_t)7; }

static void store_header(craft_chunks *chunks) {
    uint32_t format = FORMAT;
    memcpy(chunks->bytes + 8, &format, 4);
    memcpy(chunks->bytes + 12, &chunks->count, 4);
    uint32_t sum = sluice_crc32c(0, chunks->bytes, 32);
    memcpy(chunks->bytes + 32, &sum, 4);
}

craft_chunks *craft_chunks_create(uint64_t index, uint64_t term) {
    craft_chunks *chunks = calloc(1, sizeof *chunks);
    if (!chunks) return NULL;
    chunks->capacity = 4096;
    chunks->bytes = raft_malloc(chunks->capacity);
    if (!chunks->bytes) {
        free(chunks);
        return NULL;
    }
    memset(chunks->bytes, 0, HEADER);
    memcpy(chunks->bytes, magic, 8);
    memcpy(chunks->bytes + 16, &index, 8);
    memcpy(chunks->bytes + 24, &term, 8);
    chunks->length = HEADER;
    store_header(chunks);
    return chunks;
}

int craft_chunks_add(craft_chunks *chunks, const void *base, size_t length) {
    size_t needed = chunks->length + CHUNK_HEADER + padded(length);
    if (needed < length) return CRAFT_NO_MEMORY;
    if (needed > chunks->capacity) {
        size_t capacity = chunks->capacity * 2 > needed ? chunks->capacity * 2 : needed;
        uint8_t *bytes = raft_realloc(chunks->bytes, capacity);
        if (!bytes) return CRAFT_NO_MEMORY;
        chunks->bytes = bytes;
        chunks->capacity = capacity;
    }
    uint8_t *at = chunks->bytes + chunks->length;
    uint64_t wide = length;
    uint32_t sum = sluice_crc32c(0, base, length);
    memset(at, 0, CHUNK_HEADER);
    memcpy(at, &wide, 8);
    memcpy(at + 8, &sum, 4);
    if (length) memcpy(at + CHUNK_HEADER, base, length);
    memset(at + CHUNK_HEADER + length, 0, padded(length) - length);
    chunks->length = needed;
    chunks->count++;
    store_header(chunks);
    return CRAFT_OK;
}

const void *craft_chunks_bytes(const craft_chunks *chunks, size_t *length) {
    *length = chunks->length;
    return chunks->bytes;
}

void *craft_chunks_take(craft_chunks *chunks, size_t *length) {
    void *bytes = chunks->bytes;
    *length = chunks->length;
    free(chunks);
    return bytes;
}

void craft_chunks_destroy(craft_chunks *chunks) {
    if (!chunks) return;
    raft_free(chunks->bytes);
    free(chunks);
}

int craft_chunks_check(const void *base, size_t length, craft_chunks_info *info) {
    const uint8_t *bytes = base;
    uint32_t format, count, sum, zero;
    memset(info, 0, sizeof *info);
    if (length < HEADER || memcmp(bytes, magic, 8) != 0) return CRAFT_DAMAGED;
    memcpy(&format, bytes + 8, 4);
    memcpy(&count, bytes + 12, 4);
    memcpy(&sum, bytes + 32, 4);
    memcpy(&zero, bytes + 36, 4);
    if (sum != sluice_crc32c(0, bytes, 32) || zero != 0 || format != FORMAT) return CRAFT_DAMAGED;
    memcpy(&info->index, bytes + 16, 8);
    memcpy(&info->term, bytes + 24, 8);
    size_t at = HEADER;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t wide;
        info->damage_offset = at;
        if (length - at < CHUNK_HEADER) return CRAFT_DAMAGED;
        memcpy(&wide, bytes + at, 8);
        memcpy(&sum, bytes + at + 8, 4);
        memcpy(&zero, bytes + at + 12, 4);
        size_t room = length - at - CHUNK_HEADER;
        if (zero != 0 || wide > room || padded(wide) > room) return CRAFT_DAMAGED;
        if (sum != sluice_crc32c(0, bytes + at + CHUNK_HEADER, wide)) return CRAFT_DAMAGED;
        for (size_t i = wide; i < padded(wide); i++)
            if (bytes[at + CHUNK_HEADER + i] != 0) return CRAFT_DAMAGED;
        info->payload += wide;
        at += CHUNK_HEADER + padded(wide);
    }
    info->damage_offset = at;
    return at == length ? CRAFT_OK : CRAFT_DAMAGED;
}

void craft_chunks_join(const void *base, size_t length, void *out) {
    const uint8_t *bytes = base;
    uint8_t *to = out;
    for (size_t at = HEADER; at < length;) {
        uint64_t wide;
        memcpy(&wide, bytes + at, 8);
        memcpy(to, bytes + at + CHUNK_HEADER, wide);
        to += wide;
        at += CHUNK_HEADER + padded(wide);
    }
}
