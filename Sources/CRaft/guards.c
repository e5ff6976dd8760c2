// What stands between libraft and its own files and messages. `struct raft_io` is ours after raft_uv_init, so its methods are
// wrapped here; each wrapper says which defect of 0.22 it keeps away. Debian builds the library without assertions: a broken
// invariant does not stop it, it goes on.
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static craft_node *node_of(struct raft_io *io) {
    return (craft_node *)((char *)io - offsetof(craft_node, io));
}

// --- Loading -----------------------------------------------------------------------------------------------------------

// The library drops everything behind a damaged batch of an open segment, without a word, and takes an emptied directory for
// a new one. A member that has acknowledged those entries must not vote without them.
static int guard_load(
    struct raft_io *io, raft_term *term, raft_id *voted_for, struct raft_snapshot **snapshot, raft_index *start_index,
    struct raft_entry **entries, size_t *count) {
    craft_node *node = node_of(io);
    int rv = node->original.load(io, term, voted_for, snapshot, start_index, entries, count);
    if (rv != 0) return rv;

    raft_index last = *start_index + *count - 1;
    uint64_t known = node->applied_index;
    if (node->has_taken_part && *term == 0) {
        craft_say(node->problem, "the log is gone, but this member has taken part in a cluster");
    } else if (known > last) {
        craft_say(
            node->problem, "the log ends at entry %llu, but entries up to %llu have been applied here: some are missing",
            last, (unsigned long long)known);
    } else if (
        node->applied_term != 0 && known >= *start_index && known <= last && (*entries)[known - *start_index].term != node->applied_term) {
        craft_say(
            node->problem, "entry %llu of the log has term %llu, but the one applied here had term %llu",
            (unsigned long long)known, (*entries)[known - *start_index].term, (unsigned long long)node->applied_term);
    } else if (*count > 0 && (*entries)[*count - 1].term > *term) {
        craft_say(
            node->problem, "the log ends in term %llu, but metadata1 and metadata2 know no term beyond %llu",
            (*entries)[*count - 1].term, *term);
    } else {
        return 0;
    }
    // What was loaded is left allocated: the caller does not start, and the library offers no way to release it.
    node->start_problem = CRAFT_MISSING_ENTRIES;
    strncpy(io->errmsg, node->problem, sizeof io->errmsg - 1);
    return RAFT_CORRUPT;
}

// --- Receiving ---------------------------------------------------------------------------------------------------------

static void drop_message(struct raft_message *message) {
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    } else if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
    }
}

// Remembers how far the leader's log is committed: a restarted member is current when it has applied that.
static void note_leader(craft_node *node, const struct raft_append_entries *args) {
    if (args->term < node->heard_term) return;
    if (args->term > node->heard_term) {
        node->heard_term = args->term;
        node->heard_commit = 0;
        node->term_start = 0;
        node->heard_all = false;
    }
    if (node->term_start == 0) {
        for (unsigned i = 0; i < args->n_entries; i++) {
            if (args->entries[i].term != args->term) continue;
            node->term_start = args->prev_log_index + 1 + i;
            break;
        }
    }
    if (args->leader_commit > node->heard_commit) node->heard_commit = args->leader_commit;
    if (args->n_entries == 0 && args->prev_log_index == args->leader_commit) node->heard_all = true;
}

static void guard_receive(struct raft_io *io, struct raft_message *message) {
    craft_node *node = node_of(io);
    if (node->halted) return drop_message(message);
    if (message->type == RAFT_APPEND_ENTRIES) note_leader(node, &message->append_entries);
    if (message->type == RAFT_INSTALL_SNAPSHOT && !node->closing) {
        // takeSnapshotCb sets snapshot_pending to NULL and then uses it, when a snapshot arrives while one is being written.
        // The leader sends it again after its install_snapshot_timeout.
        if (node->snapshotting) {
            node->counters.dropped_snapshots++;
            return drop_message(message);
        }
        // Contents are not checked by the library before they replace the log.
        craft_chunks_info info;
        const struct raft_buffer *data = &message->install_snapshot.data;
        if (craft_chunks_check(data->base, data->len, &info) != CRAFT_OK) {
            node->counters.refused_snapshots++;
            return drop_message(message);
        }
    }
    node->receive(io, message);
}

static int guard_start(struct raft_io *io, unsigned milliseconds, raft_io_tick_cb tick, raft_io_recv_cb receive) {
    craft_node *node = node_of(io);
    node->receive = receive;
    return node->original.start(io, milliseconds, tick, guard_receive);
}

// --- Sending -----------------------------------------------------------------------------------------------------------

struct get_request {
    struct raft_io_snapshot_get mine, *theirs;
    raft_io_snapshot_get_cb done;
    craft_node *node;
};

static void guard_get_done(struct raft_io_snapshot_get *mine, struct raft_snapshot *snapshot, int status) {
    struct get_request *request = (struct get_request *)mine;
    craft_node *node = request->node;
    craft_chunks_info info;
    if (status == 0 && craft_chunks_check(snapshot->bufs[0].base, snapshot->bufs[0].len, &info) != CRAFT_OK) {
        node->counters.refused_snapshots++;
        raft_configuration_close(&snapshot->configuration);
        raft_free(snapshot->bufs[0].base);
        raft_free(snapshot->bufs);
        status = RAFT_CORRUPT;
    }
    if (status != 0) {
        // legacyLoadSnapshotCb would release a configuration and a buffer that were never set. So it is not told: its request
        // stays allocated, and the leader tries again after install_snapshot_timeout.
        raft_free(snapshot);
    } else {
        node->sent_index = snapshot->index;
        node->sent_term = snapshot->term;
        request->done(request->theirs, snapshot, 0);  // calls io->send before it returns
    }
    free(request);
}

static int guard_get(struct raft_io *io, struct raft_io_snapshot_get *theirs, raft_io_snapshot_get_cb done) {
    craft_node *node = node_of(io);
    if (node->closing || node->halted) return RAFT_CANCELED;
    struct get_request *request = calloc(1, sizeof *request);
    if (!request) return RAFT_NOMEM;
    request->theirs = theirs;
    request->done = done;
    request->node = node;
    int rv = node->original.snapshot_get(io, &request->mine, guard_get_done);
    if (rv != 0) free(request);
    return rv;
}

// Never fails: an error here would travel up into recvCb, which then releases the received entries a second time. A message
// that could not be sent is a lost one, which Raft bears.
static int guard_send(
    struct raft_io *io, struct raft_io_send *request, const struct raft_message *message, raft_io_send_cb done) {
    craft_node *node = node_of(io);
    // While closing, the library would begin a new connection that nobody ends.
    if (node->closing || node->halted) {
        done(request, RAFT_CANCELED);
        return 0;
    }
    struct raft_message fixed = *message;  // encoded before send returns
    if (message->type == RAFT_INSTALL_SNAPSHOT && message->install_snapshot.last_index == node->sent_index) {
        // When a newer snapshot was taken between the decision to send one and its reading, the library corrects the message's
        // last_index but not its last_term. The receiver stores a snapshot of a term that it never had, and dies of it.
        if (message->install_snapshot.last_term != node->sent_term) node->counters.relabelled_snapshots++;
        fixed.install_snapshot.last_term = node->sent_term;
    }
    int rv = node->original.send(io, request, &fixed, done);
    if (rv != 0) done(request, rv);
    return 0;
}

// --- Storing -----------------------------------------------------------------------------------------------------------

struct put_request {
    struct raft_io_snapshot_put mine, *theirs;
    raft_io_snapshot_put_cb done;
    craft_node *node;
};

static void guard_put_done(struct raft_io_snapshot_put *mine, int status) {
    struct put_request *request = (struct put_request *)mine;
    request->node->snapshotting = false;  // before the callback, which may begin the next one
    request->done(request->theirs, status);
    free(request);
}

static int guard_put(
    struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *theirs, const struct raft_snapshot *snapshot,
    raft_io_snapshot_put_cb done) {
    craft_node *node = node_of(io);
    // No trailing entries: a received snapshot is being installed.
    if (trailing == 0) return node->original.snapshot_put(io, trailing, theirs, snapshot, done);
    struct put_request *request = calloc(1, sizeof *request);
    if (!request) {
        node->snapshotting = false;
        return RAFT_NOMEM;
    }
    request->theirs = theirs;
    request->done = done;
    request->node = node;
    int rv = node->original.snapshot_put(io, trailing, &request->mine, snapshot, guard_put_done);
    if (rv != 0) {
        node->snapshotting = false;
        free(request);
    }
    return rv;
}

static void storage_failed(craft_node *node, const char *what) {
    if (!node->problem[0]) craft_say(node->problem, "%s: %s", what, node->io.errmsg);
    craft_halt(node);
}

// After a failed append the library's idea of the log and its files differ, and the error makes recvCb release entries twice. So
// the replica halts: nothing that was not stored is acknowledged. A full disk is no error here: the library itself tries again.
static int guard_append(
    struct raft_io *io, struct raft_io_append *request, const struct raft_entry entries[], unsigned count,
    raft_io_append_cb done) {
    craft_node *node = node_of(io);
    if (node->halted) return 0;
    int rv = node->original.append(io, request, entries, count, done);
    if (rv != 0) storage_failed(node, "the log cannot be written");
    return 0;
}

static int guard_truncate(struct raft_io *io, raft_index index) {
    craft_node *node = node_of(io);
    if (node->halted) return 0;
    int rv = node->original.truncate(io, index);
    if (rv != 0) storage_failed(node, "the log cannot be shortened");
    return 0;
}

// A vote or a term that is not on disk must not be spoken of: the error keeps the messages of this step back, and the replica
// halts, as the library has changed its mind in memory already.
static int guard_set_term(struct raft_io *io, raft_term term) {
    craft_node *node = node_of(io);
    if (node->halted) return RAFT_CANCELED;
    int rv = node->original.set_term(io, term);
    if (rv != 0) storage_failed(node, "the term cannot be written");
    return rv;
}

static int guard_set_vote(struct raft_io *io, raft_id id) {
    craft_node *node = node_of(io);
    if (node->halted) return RAFT_CANCELED;
    int rv = node->original.set_vote(io, id);
    if (rv != 0) storage_failed(node, "the vote cannot be written");
    return rv;
}

// --- Closing -----------------------------------------------------------------------------------------------------------

static void guard_closed(struct raft_io *io) {
    craft_node *node = node_of(io);
    // With a truncation under way it is said twice, and raft would release itself twice.
    if (node->io_closed) return;
    node->io_closed = true;
    node->close_done(io);
}

static void guard_close(struct raft_io *io, raft_io_close_cb done) {
    craft_node *node = node_of(io);
    node->close_done = done;
    node->original.close(io, guard_closed);
}

void craft_guard_io(craft_node *node) {
    node->original = node->io;
    node->io.load = guard_load;
    node->io.start = guard_start;
    node->io.send = guard_send;
    node->io.snapshot_get = guard_get;
    node->io.snapshot_put = guard_put;
    node->io.append = guard_append;
    node->io.truncate = guard_truncate;
    node->io.set_term = guard_set_term;
    node->io.set_vote = guard_set_vote;
    node->io.close = guard_close;
}
