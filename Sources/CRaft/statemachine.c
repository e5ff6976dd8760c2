// The library's finite state machine, passed on to the hooks.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

// What an entry costs in memory beside its bytes.
enum { ENTRY_OVERHEAD = 64 };

static int machine_apply(struct raft_fsm *fsm, const struct raft_buffer *buffer, void **result) {
    craft_node *node = fsm->data;
    *result = NULL;  // reaches no callback on followers, so nothing is handed on by it
    // 0 whatever happens: the library answers an error by releasing the message's entries twice. A halted replica ends at the
    // end of this turn; until then it takes no snapshot, so that what it has not applied stays in the log.
    if (node->halted) return 0;
    uint64_t index = raft_last_applied(&node->raft) + 1;  // not handed over
    uint64_t size = buffer->len + ENTRY_OVERHEAD;
    node->entry_sizes[index % node->trailing_entries] = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    node->bytes_since_snapshot += size;
    if (node->hooks.apply(node->hooks.context, index, buffer->base, buffer->len) != 0) craft_halt(node);
    return 0;
}

// As many of the last entries as fit.
static unsigned trailing_count(const craft_node *node, uint64_t index) {
    size_t bytes = 0;
    unsigned count = 0;
    while (count < node->trailing_entries && count < index) {
        bytes += node->entry_sizes[(index - count) % node->trailing_entries];
        if (bytes > node->trailing_bytes) break;
        count++;
    }
    return count > 0 ? count : 1;  // 0 would mean the installation of a received snapshot
}

// RAFT_BUSY is asked again after the next commit.
static int machine_snapshot(struct raft_fsm *fsm, struct raft_buffer *buffers[], unsigned *count) {
    craft_node *node = fsm->data;
    if (node->halted || node->snapshotting) return RAFT_BUSY;
    uint64_t due = node->snapshot_bytes > node->last_snapshot_bytes ? node->snapshot_bytes : node->last_snapshot_bytes;
    if (node->bytes_since_snapshot < due) return RAFT_BUSY;

    uint64_t index = raft_last_applied(&node->raft);
    craft_chunks *chunks = craft_chunks_create(index, node->raft.current_term);
    if (!chunks) return RAFT_NOMEM;
    if (node->hooks.snapshot(node->hooks.context, index, chunks) != 0) {
        craft_chunks_destroy(chunks);
        return RAFT_BUSY;
    }
    struct raft_buffer *buffer = raft_malloc(sizeof *buffer);  // released by the library, as its contents
    if (!buffer) {
        craft_chunks_destroy(chunks);
        return RAFT_NOMEM;
    }
    buffer->base = craft_chunks_take(chunks, &buffer->len);
    node->snapshotting = true;
    node->last_snapshot_bytes = node->snapshot_bytes == 0 ? 0 : buffer->len;
    node->bytes_since_snapshot = 0;
    raft_set_snapshot_trailing(&node->raft, trailing_count(node, index));
    *buffers = buffer;
    *count = 1;
    return 0;
}

static int machine_restore(struct raft_fsm *fsm, struct raft_buffer *buffer) {
    craft_node *node = fsm->data;
    craft_chunks_info info;
    if (craft_chunks_check(buffer->base, buffer->len, &info) != CRAFT_OK) {
        craft_say(node->problem, "the snapshot is damaged at offset %zu of its contents", info.damage_offset);
        craft_halt(node);
        return RAFT_CORRUPT;
    }
    void *joined = malloc(info.payload + 1);
    if (!joined) return RAFT_NOMEM;
    craft_chunks_join(buffer->base, buffer->len, joined);
    int refused = node->hooks.restore(node->hooks.context, info.index, joined, info.payload);
    free(joined);
    if (refused) {
        craft_halt(node);
        return RAFT_CORRUPT;
    }
    node->bytes_since_snapshot = 0;
    node->last_snapshot_bytes = node->snapshot_bytes == 0 ? 0 : buffer->len;
    raft_free(buffer->base);  // ours on success, the library's else
    return 0;
}

void craft_set_machine(craft_node *node) {
    node->fsm.version = 1;
    node->fsm.data = node;
    node->fsm.apply = machine_apply;
    node->fsm.snapshot = machine_snapshot;
    node->fsm.restore = machine_restore;
}
