// A flat face of libraft and libuv: one replicated log, its files and its loop, behind an opaque node. Swift sees no raft.h,
// whose layouts differ between versions. The guards against libraft's known defects are in guards.c, each with its reason.
//
// Threads: everything belongs to the thread inside craft_run, or to the only thread that knows the node before that; the one
// exception is craft_wake.
#ifndef SLUICE_CRAFT_H
#define SLUICE_CRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRAFT_NAME_SIZE = 256, CRAFT_ERROR_SIZE = 512 };

// What calls answer: 0, or one of these classes of libraft's errors.
enum craft_result {
    CRAFT_OK = 0,
    CRAFT_NOT_LEADER = 1,       // certainly not in the log
    CRAFT_LEADERSHIP_LOST = 2,  // may still be committed
    CRAFT_SHUTTING_DOWN = 3,    // may still be committed
    CRAFT_NO_SPACE = 4,         // certainly not in the log: a majority's disks are full
    CRAFT_NO_CONNECTION = 5,    // a member could not be brought up to date
    CRAFT_CANNOT_CHANGE = 6,    // another change of the membership is under way
    CRAFT_BAD_ROLE = 7,         // the member has that role already
    CRAFT_DUPLICATE_ID = 8,
    CRAFT_DUPLICATE_NAME = 9,
    CRAFT_UNKNOWN_MEMBER = 10,
    CRAFT_NO_MEMORY = 11,
    CRAFT_DAMAGED = 12,         // of files: what they say is not what was written
    CRAFT_NOT_PRISTINE = 13,    // bootstrap of a log that exists
    CRAFT_MISSING_ENTRIES = 14, // the log ends before what is known to have been applied
    CRAFT_FAILED = 15,          // anything else
};

typedef struct craft_node craft_node;

// State as a sequence of chunks, each with its checksum; see chunks.c for the format.
typedef struct craft_chunks craft_chunks;

// All are called on the loop's thread. None may call back into the node except where it says so.
typedef struct craft_hooks {
    void *context;
    // After craft_wake; several calls of that may come as one. May call everything.
    void (*woken)(void *context);
    // A committed entry. Other than 0: the replica halts, without having applied this entry.
    int (*apply)(void *context, uint64_t index, const void *base, size_t length);
    // The state as of `index`: craft_chunks_add for each piece. Other than 0: not now.
    int (*snapshot)(void *context, uint64_t index, craft_chunks *chunks);
    // The bytes are the chunks one behind the other, lent. Other than 0: they cannot be used, and the replica halts.
    int (*restore)(void *context, uint64_t index, const void *base, size_t length);
    // The outcome of craft_apply, craft_add and so on, exactly once for each that gave 0. May not start new ones: wake instead.
    void (*finished)(void *context, uint64_t token, int result);
    // Once in each turn of the loop, at least each heartbeat; `changed` when craft_status would answer differently.
    void (*turn)(void *context, bool changed);
    // Wanted: a stream to that member. Answer with craft_dialed, later.
    void (*dial)(void *context, uint64_t token, uint64_t id, const char *name);
} craft_hooks;

typedef struct craft_options {
    uint64_t id;
    const char *name;
    const char *directory;  // exists
    unsigned election_milliseconds;
    unsigned heartbeat_milliseconds;
    unsigned snapshot_entries;  // a snapshot is taken when so many entries and…
    size_t snapshot_bytes;      // …so many bytes, and at least the size of the last, have been applied since
    unsigned trailing_entries;  // kept behind a snapshot: at most so many entries and…
    size_t trailing_bytes;      // …so many bytes
    size_t segment_bytes;       // 0: the library's 8 MiB
    uint64_t applied_index;     // known to have been applied here, of this term; 0 when nothing is known
    uint64_t applied_term;
    bool has_taken_part;        // this member has had a term: an empty directory is a lost one
} craft_options;

typedef struct craft_status {
    int state;  // 0 unavailable, 1 follower, 2 candidate, 3 leader
    uint64_t term, leader;
    uint64_t last_index, commit_index, applied_index;
    uint64_t configuration_signature;  // changes when the members do
    bool current;  // what is committed has been applied, as far as the leader has said
    char leader_name[CRAFT_NAME_SIZE];
} craft_status;

typedef struct craft_member {
    uint64_t id;
    int role;  // 0 standby, 1 voter, 2 spare
    char name[CRAFT_NAME_SIZE];
} craft_member;

typedef struct craft_counters {
    uint64_t dropped_snapshots;    // guard: came while one was being written
    uint64_t relabelled_snapshots; // guard: would have been sent with a wrong term
    uint64_t refused_snapshots;    // guard: damaged on the way or on disk
} craft_counters;

// The version of the library that was linked, e.g. 2201 for 0.22.1.
int craft_library_version(void);

// NULL when it failed: `result` tells the class, `error` a sentence.
craft_node *craft_create(
    const craft_options *options, const craft_hooks *hooks, int *result, char error[CRAFT_ERROR_SIZE]);
// Makes a new log with these members. CRAFT_NOT_PRISTINE when there is one.
int craft_bootstrap(craft_node *node, const craft_member *members, unsigned count, char error[CRAFT_ERROR_SIZE]);
// Reads the log, restores the state; calls the hook `restore`.
int craft_start(craft_node *node, char error[CRAFT_ERROR_SIZE]);
// Runs the loop until craft_stop has done its work. SIGPIPE stays blocked on this thread.
void craft_run(craft_node *node);
void craft_name_thread(const char *name);  // the calling one; at most 15 bytes
void craft_stop(craft_node *node);
// As craft_stop, at the end of this turn; until then nothing more is applied, stored or sent.
void craft_halt(craft_node *node);
// After craft_run has returned, or instead of it after a failed craft_start.
void craft_destroy(craft_node *node);
// From any thread, as long as the node exists.
void craft_wake(craft_node *node);

// Memory for craft_apply.
void *craft_allocate(size_t length);
// `buffer` is from craft_allocate, its length a multiple of 8; it is taken over whatever the outcome. `index` gets the entry's.
int craft_apply(craft_node *node, void *buffer, size_t length, uint64_t token, uint64_t *index);
int craft_add(craft_node *node, uint64_t id, const char *name, uint64_t token);
int craft_assign(craft_node *node, uint64_t id, int role, uint64_t token);
int craft_remove(craft_node *node, uint64_t id, uint64_t token);
// Finishes with CRAFT_OK when another leads, else with CRAFT_FAILED; `id` 0 leaves the choice.
int craft_transfer(craft_node *node, uint64_t id, uint64_t token);

void craft_get_status(craft_node *node, craft_status *status);
// How many there are; up to `capacity` of them are copied.
unsigned craft_members(craft_node *node, craft_member *members, unsigned capacity);
// Of an entry in the log, or of the snapshot's last; 0 when it is in neither.
uint64_t craft_term_of(const craft_node *node, uint64_t index);
void craft_get_counters(const craft_node *node, craft_counters *counters);
// Milliseconds of the loop's clock.
uint64_t craft_now(const craft_node *node);

// The stream asked for by the hook `dial`; -1 when there is none. The descriptor is taken over.
void craft_dialed(craft_node *node, uint64_t token, int descriptor);
// A stream from that member. The descriptor is taken over.
void craft_accepted(craft_node *node, uint64_t id, const char *name, int descriptor);

// Of a directory whose node does not run.
typedef struct craft_inspection {
    uint64_t term;        // the highest this member has seen
    uint64_t last_index;  // of its log
    uint64_t last_term;
    uint64_t snapshot_index;
    unsigned member_count;
    craft_member members[32];
} craft_inspection;

int craft_inspect(const char *directory, craft_inspection *inspection, char error[CRAFT_ERROR_SIZE]);
// Appends a configuration with these members to the log, whatever was there: for a cluster that has lost its majority.
int craft_recover(
    const char *directory, const craft_member *members, unsigned count, char error[CRAFT_ERROR_SIZE]);

craft_chunks *craft_chunks_create(uint64_t index, uint64_t term);
// 0, or CRAFT_NO_MEMORY.
int craft_chunks_add(craft_chunks *chunks, const void *base, size_t length);
// The encoded bytes, lent until craft_chunks_destroy.
const void *craft_chunks_bytes(const craft_chunks *chunks, size_t *length);
void craft_chunks_destroy(craft_chunks *chunks);

typedef struct craft_chunks_info {
    uint64_t index, term;
    size_t payload;         // bytes of all chunks together
    size_t damage_offset;   // where the bytes stop making sense, when they do
} craft_chunks_info;

// Whether these are chunks, whole and undamaged.
int craft_chunks_check(const void *base, size_t length, craft_chunks_info *info);
// Copies the chunks' contents, checked before, to `out` of `payload` bytes.
void craft_chunks_join(const void *base, size_t length, void *out);

#endif
