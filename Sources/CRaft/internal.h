// Shared by the files of CRaft alone.
#ifndef SLUICE_CRAFT_INTERNAL_H
#define SLUICE_CRAFT_INTERNAL_H

#include "craft.h"

#include <raft.h>
#include <raft/uv.h>

#if !defined(RAFT_VERSION_NUMBER) || RAFT_VERSION_NUMBER < 2200 || RAFT_VERSION_NUMBER >= 2300
#error "Sluice needs libraft 0.22.x (scripts/fetch-raft.sh brings it): before 0.17.1 it commits entries of old terms by counting replicas, and other lines have other layouts"
#endif

struct craft_dial {
    uint64_t token;
    struct raft_uv_connect *request;
    struct craft_dial *next;
};

struct craft_node {
    craft_hooks hooks;
    uv_loop_t loop;
    uv_async_t async;
    uv_check_t check;
    uv_prepare_t prepare;
    struct raft_uv_transport transport;
    struct raft_io io;
    struct raft_fsm fsm;
    struct raft raft;

    bool started;       // raft_start gave 0
    bool closing;       // raft_close has been called
    bool io_closed;     // the I/O has said so; it may say it twice
    bool halted;        // nothing more is applied, stored or sent
    craft_status seen;  // at the last turn

    // Snapshots.
    bool snapshotting;              // between the state's encoding and the end of its writing
    uint64_t sent_index, sent_term; // of the one last read from disk to be sent
    uint64_t bytes_since_snapshot;
    uint64_t last_snapshot_bytes;
    unsigned snapshot_entries, trailing_entries;
    size_t snapshot_bytes, trailing_bytes;
    uint32_t *entry_sizes;          // a ring of trailing_entries

    // What the leader has said, in `heard_term`.
    uint64_t heard_term, heard_commit, term_start;
    bool heard_all;                 // its log ends with what is committed
    uint64_t leading_term, leading_target;

    uint64_t applied_index, applied_term;
    bool has_taken_part;
    int start_problem;              // CRAFT_… found while loading
    char problem[CRAFT_ERROR_SIZE];

    craft_counters counters;

    // libraft's own methods, which guards.c stands in front of.
    struct raft_io original;
    raft_io_recv_cb receive;
    raft_io_close_cb close_done;

    raft_uv_accept_cb accept;
    struct craft_dial *dials;
    uint64_t next_dial;
};

int craft_result_of(int raft_error);
void craft_say(char error[CRAFT_ERROR_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));

// guards.c
void craft_guard_io(craft_node *node);
// statemachine.c
void craft_set_machine(craft_node *node);
// transport.c
void craft_set_transport(craft_node *node);
// chunks.c: gives the encoded bytes up, from raft_malloc.
void *craft_chunks_take(craft_chunks *chunks, size_t *length);
// directory.c: the newest snapshot's two files, before libraft reads them.
int craft_check_snapshot(const char *directory, char error[CRAFT_ERROR_SIZE]);

#endif
