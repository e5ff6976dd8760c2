// The node's life and its requests.
#include "internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>

void craft_say(char error[CRAFT_ERROR_SIZE], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, CRAFT_ERROR_SIZE, format, arguments);
    va_end(arguments);
}

int craft_library_version(void) { return raft_version_number(); }

int craft_result_of(int raft_error) {
    switch (raft_error) {
        case 0: return CRAFT_OK;
        case RAFT_NOTLEADER: return CRAFT_NOT_LEADER;
        case RAFT_LEADERSHIPLOST: return CRAFT_LEADERSHIP_LOST;
        case RAFT_SHUTDOWN:
        case RAFT_CANCELED: return CRAFT_SHUTTING_DOWN;
        case RAFT_NOSPACE: return CRAFT_NO_SPACE;
        case RAFT_NOCONNECTION: return CRAFT_NO_CONNECTION;
        case RAFT_CANTCHANGE: return CRAFT_CANNOT_CHANGE;
        case RAFT_BADROLE: return CRAFT_BAD_ROLE;
        case RAFT_DUPLICATEID: return CRAFT_DUPLICATE_ID;
        case RAFT_DUPLICATEADDRESS: return CRAFT_DUPLICATE_NAME;
        case RAFT_BADID:
        case RAFT_NOTFOUND: return CRAFT_UNKNOWN_MEMBER;
        case RAFT_NOMEM: return CRAFT_NO_MEMORY;
        case RAFT_CORRUPT:
        case RAFT_MALFORMED: return CRAFT_DAMAGED;
        case RAFT_CANTBOOTSTRAP: return CRAFT_NOT_PRISTINE;
        default: return CRAFT_FAILED;
    }
}

// --- Turns -------------------------------------------------------------------------------------------------------------

static void turn(craft_node *node) {
    if (node->closing) return;
    if (node->halted) {
        node->hooks.turn(node->hooks.context, false);
        craft_stop(node);
        return;
    }
    // There is no callback for leadership or commits: comparing once a turn costs nothing and sees every change.
    craft_status status;
    craft_get_status(node, &status);
    bool changed = memcmp(&status, &node->seen, sizeof status) != 0;
    if (changed) node->seen = status;
    node->hooks.turn(node->hooks.context, changed);
}

static void on_async(uv_async_t *async) {
    craft_node *node = async->data;
    node->hooks.woken(node->hooks.context);
}

static void on_check(uv_check_t *check) { turn(check->data); }
static void on_prepare(uv_prepare_t *prepare) { turn(prepare->data); }

// --- Life --------------------------------------------------------------------------------------------------------------

static void close_handles(craft_node *node) {
    uv_handle_t *handles[] = {
        (uv_handle_t *)&node->async, (uv_handle_t *)&node->check, (uv_handle_t *)&node->prepare};
    for (unsigned i = 0; i < 3; i++)
        if (!uv_is_closing(handles[i])) uv_close(handles[i], NULL);
}

static void set_options(craft_node *node, const craft_options *options) {
    struct raft *raft = &node->raft;
    raft_set_election_timeout(raft, options->election_milliseconds);
    raft_set_heartbeat_timeout(raft, options->heartbeat_milliseconds);
    raft_set_install_snapshot_timeout(raft, 5000);  // the default is 30 s
    raft_set_pre_vote(raft, true);                  // not the default
    raft_set_snapshot_threshold(raft, options->snapshot_entries);
    raft_set_snapshot_trailing(raft, options->trailing_entries);
    raft_uv_set_connect_retry_delay(&node->io, options->election_milliseconds);
    raft_uv_set_disk_retry(&node->io, 1000);
    raft_uv_set_auto_recovery(&node->io, false);    // the default renames damaged segments away and goes on without them
    // A leader refuses entries when a majority has less room in files made ahead: the library's 4 MiB fit its segments of 8.
    size_t segment = options->segment_bytes ? options->segment_bytes : 8 * 1024 * 1024;
    raft_set_capacity_threshold(raft, (unsigned short)(segment / 2048 < UINT16_MAX ? segment / 2048 : UINT16_MAX));
    if (options->segment_bytes) raft_uv_set_segment_size(&node->io, options->segment_bytes);
    // The library seeds from clocks alone: members started in the same millisecond on one host would draw the same election
    // timeouts for ever.
    unsigned seed;
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed) raft_seed(raft, seed);
}

static bool set_up_loop(craft_node *node) {
    if (uv_loop_init(&node->loop) != 0) return false;
    if (uv_async_init(&node->loop, &node->async, on_async) != 0) {
        uv_loop_close(&node->loop);
        return false;
    }
    uv_check_init(&node->loop, &node->check);
    uv_prepare_init(&node->loop, &node->prepare);
    node->async.data = node->check.data = node->prepare.data = node;
    return true;
}

static void tear_down_loop(craft_node *node) {
    close_handles(node);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    uv_loop_close(&node->loop);
}

static bool options_make_sense(const craft_options *options) {
    return options->id != 0 && options->name[0] && strlen(options->name) < CRAFT_NAME_SIZE
        && options->heartbeat_milliseconds > 0 && options->heartbeat_milliseconds < options->election_milliseconds
        && options->snapshot_entries > 0 && options->trailing_entries > 0;
}

craft_node *craft_create(
    const craft_options *options, const craft_hooks *hooks, int *result, char error[CRAFT_ERROR_SIZE]) {
    *result = CRAFT_FAILED;
    if (raft_version_number() / 100 != RAFT_VERSION_NUMBER / 100) {
        craft_say(
            error, "libraft %d was linked, but this was built for %d", raft_version_number(), RAFT_VERSION_NUMBER);
        return NULL;
    }
    if (!options_make_sense(options)) {
        craft_say(error, "the options of the replicated log contradict each other");
        return NULL;
    }
    craft_node *node = calloc(1, sizeof *node);
    if (node) node->entry_sizes = calloc(options->trailing_entries, sizeof *node->entry_sizes);
    if (!node || !node->entry_sizes || !set_up_loop(node)) {
        craft_say(error, "no memory or descriptors for a loop");
        if (node) free(node->entry_sizes);
        free(node);
        return NULL;
    }
    node->hooks = *hooks;
    node->snapshot_entries = options->snapshot_entries;
    node->trailing_entries = options->trailing_entries;
    node->snapshot_bytes = options->snapshot_bytes;
    node->trailing_bytes = options->trailing_bytes;
    node->applied_index = options->applied_index;
    node->applied_term = options->applied_term;
    node->has_taken_part = options->has_taken_part;
    craft_set_transport(node);
    craft_set_machine(node);

    int rv = craft_check_snapshot(options->directory, error);
    if (rv != CRAFT_OK) {
        *result = rv;
        goto fail;
    }
    rv = raft_uv_init(&node->io, &node->loop, options->directory, &node->transport);
    if (rv == 0) {
        rv = raft_init(&node->raft, &node->io, &node->fsm, options->id, options->name);
        if (rv != 0) raft_uv_close(&node->io);
    }
    if (rv != 0) {
        *result = craft_result_of(rv);
        craft_say(error, "%s: %s", options->directory, node->io.errmsg[0] ? node->io.errmsg : raft_strerror(rv));
        goto fail;
    }
    node->raft.data = node;
    craft_guard_io(node);
    set_options(node, options);
    *result = CRAFT_OK;
    return node;

fail:
    tear_down_loop(node);
    free(node->entry_sizes);
    free(node);
    return NULL;
}

static int configure(
    struct raft_configuration *configuration, const craft_member *members, unsigned count) {
    raft_configuration_init(configuration);
    for (unsigned i = 0; i < count; i++) {
        int rv = raft_configuration_add(configuration, members[i].id, members[i].name, members[i].role);
        if (rv != 0) {
            raft_configuration_close(configuration);
            return rv;
        }
    }
    return 0;
}

static int with_configuration(
    craft_node *node, const craft_member *members, unsigned count, char error[CRAFT_ERROR_SIZE],
    int (*act)(struct raft *, const struct raft_configuration *)) {
    struct raft_configuration configuration;
    int rv = configure(&configuration, members, count);
    if (rv == 0) {
        rv = act(&node->raft, &configuration);
        raft_configuration_close(&configuration);
    }
    if (rv != 0) craft_say(error, "%s: %s", raft_strerror(rv), node->io.errmsg);
    return craft_result_of(rv);
}

int craft_bootstrap(craft_node *node, const craft_member *members, unsigned count, char error[CRAFT_ERROR_SIZE]) {
    return with_configuration(node, members, count, error, raft_bootstrap);
}

int craft_start(craft_node *node, char error[CRAFT_ERROR_SIZE]) {
    int rv = raft_start(&node->raft);
    if (rv == 0 && node->halted) rv = RAFT_CORRUPT;
    if (rv != 0) {
        const char *said = node->problem[0] ? node->problem : node->raft.errmsg;
        craft_say(error, "%s", said[0] ? said : raft_strerror(rv));
        return node->start_problem ? node->start_problem : craft_result_of(rv);
    }
    node->started = true;
    uv_check_start(&node->check, on_check);
    uv_prepare_start(&node->prepare, on_prepare);
    return CRAFT_OK;
}

void craft_run(craft_node *node) {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);  // libuv writes to pipes without MSG_NOSIGNAL
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    uv_run(&node->loop, UV_RUN_DEFAULT);
}

void craft_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

static void raft_closed(struct raft *raft) { close_handles(raft->data); }

void craft_stop(craft_node *node) {
    if (node->closing) return;
    node->closing = true;
    raft_close(&node->raft, raft_closed);
}

void craft_halt(craft_node *node) {
    if (node->halted) return;
    node->halted = true;
    uv_async_send(&node->async);  // so that the turn ends soon
}

void craft_destroy(craft_node *node) {
    craft_stop(node);  // after a start that failed
    uv_run(&node->loop, UV_RUN_DEFAULT);
    raft_uv_close(&node->io);
    uv_loop_close(&node->loop);
    free(node->entry_sizes);
    free(node);
}

void craft_wake(craft_node *node) { uv_async_send(&node->async); }

// --- Requests ----------------------------------------------------------------------------------------------------------

struct apply_request {
    struct raft_apply raft;
    craft_node *node;
    uint64_t token;
};

struct change_request {
    struct raft_change raft;
    craft_node *node;
    uint64_t token;
};

struct transfer_request {
    struct raft_transfer raft;
    craft_node *node;
    uint64_t token;
};

void *craft_allocate(size_t length) { return raft_malloc(length); }

static void apply_done(struct raft_apply *raft, int status, void *result) {
    struct apply_request *request = (struct apply_request *)raft;
    (void)result;
    request->node->hooks.finished(request->node->hooks.context, request->token, craft_result_of(status));
    free(request);
}

int craft_apply(craft_node *node, void *buffer, size_t length, uint64_t token, uint64_t *index) {
    // The segment format wants multiples of 8; a closing raft would answer with a value that was never set.
    struct apply_request *request = NULL;
    int rv = RAFT_NOTLEADER;
    if (length == 0 || length % 8 != 0) rv = RAFT_INVALID;
    else if (!node->closing && !node->halted && raft_state(&node->raft) == RAFT_LEADER) rv = 0;
    if (rv == 0 && !(request = calloc(1, sizeof *request))) rv = RAFT_NOMEM;
    if (rv != 0) {
        raft_free(buffer);
        return craft_result_of(rv);
    }
    request->node = node;
    request->token = token;
    struct raft_buffer whole = {buffer, length};
    rv = raft_apply(&node->raft, &request->raft, &whole, 1, apply_done);  // one buffer: more would be dropped
    if (rv == 0) {
        *index = request->raft.index;
        return CRAFT_OK;
    }
    free(request);
    // Of these two it is certain that the buffer was not touched. After others the library may have released it: rather leaked
    // than released twice.
    if (rv == RAFT_NOTLEADER || rv == RAFT_NOSPACE) raft_free(buffer);
    return craft_result_of(rv);
}

static void change_done(struct raft_change *raft, int status) {
    struct change_request *request = (struct change_request *)raft;
    request->node->hooks.finished(request->node->hooks.context, request->token, craft_result_of(status));
    free(request);
}

// NULL with `rv` set when no change may begin. The library itself only asserts these, and forgets an earlier request.
static struct change_request *begin_change(craft_node *node, uint64_t token, int *rv) {
    struct change_request *request = NULL;
    *rv = RAFT_NOTLEADER;
    if (node->closing || node->halted || raft_state(&node->raft) != RAFT_LEADER) return NULL;
    *rv = RAFT_CANTCHANGE;
    if (node->raft.legacy.change != NULL) return NULL;
    *rv = RAFT_NOMEM;
    if (!(request = calloc(1, sizeof *request))) return NULL;
    request->node = node;
    request->token = token;
    *rv = 0;
    return request;
}

// raft_assign keeps hold of a request that it has refused.
static int end_change(craft_node *node, struct change_request *request, int rv) {
    if (rv != 0) {
        if (node->raft.legacy.change == &request->raft) node->raft.legacy.change = NULL;
        free(request);
    }
    return craft_result_of(rv);
}

int craft_add(craft_node *node, uint64_t id, const char *name, uint64_t token) {
    int rv;
    if (id == 0 || !name[0] || strlen(name) >= CRAFT_NAME_SIZE) return CRAFT_FAILED;
    struct change_request *request = begin_change(node, token, &rv);
    if (!request) return craft_result_of(rv);
    return end_change(node, request, raft_add(&node->raft, &request->raft, id, name, change_done));
}

int craft_assign(craft_node *node, uint64_t id, int role, uint64_t token) {
    int rv;
    struct change_request *request = begin_change(node, token, &rv);
    if (!request) return craft_result_of(rv);
    return end_change(node, request, raft_assign(&node->raft, &request->raft, id, role, change_done));
}

int craft_remove(craft_node *node, uint64_t id, uint64_t token) {
    int rv;
    struct change_request *request = begin_change(node, token, &rv);
    if (!request) return craft_result_of(rv);
    return end_change(node, request, raft_remove(&node->raft, &request->raft, id, change_done));
}

static void transfer_done(struct raft_transfer *raft) {
    struct transfer_request *request = (struct transfer_request *)raft;
    craft_node *node = request->node;
    raft_id leader = 0;
    const char *name = NULL;
    if (!node->closing) raft_leader(&node->raft, &leader, &name);
    bool given = leader != 0 && leader != node->raft.id;
    node->hooks.finished(node->hooks.context, request->token, given ? CRAFT_OK : CRAFT_FAILED);
    free(request);
}

int craft_transfer(craft_node *node, uint64_t id, uint64_t token) {
    if (node->closing || node->halted || raft_state(&node->raft) != RAFT_LEADER) return CRAFT_NOT_LEADER;
    if (node->raft.transfer != NULL) return CRAFT_CANNOT_CHANGE;
    struct transfer_request *request = calloc(1, sizeof *request);
    if (!request) return CRAFT_NO_MEMORY;
    request->node = node;
    request->token = token;
    int rv = raft_transfer(&node->raft, &request->raft, id, transfer_done);
    if (rv != 0) free(request);
    return craft_result_of(rv);
}

// --- State -------------------------------------------------------------------------------------------------------------

// What is committed for certain has been applied. A leader knows once its log, as long as it was at its election, is committed;
// a follower once the leader has committed an entry of its own term, or has nothing that is not committed.
static bool is_current(craft_node *node, const craft_status *status) {
    if (status->applied_index < status->commit_index) return false;
    if (status->state == RAFT_LEADER) {
        if (node->leading_term != status->term) {
            node->leading_term = status->term;
            node->leading_target = status->last_index;
        }
        return status->commit_index >= node->leading_target;
    }
    if (status->state != RAFT_FOLLOWER || status->leader == 0 || node->heard_term != status->term) return false;
    bool certain = node->heard_all || (node->term_start != 0 && node->heard_commit >= node->term_start);
    return certain && status->applied_index >= node->heard_commit;
}

void craft_get_status(craft_node *node, craft_status *status) {
    struct raft *raft = &node->raft;
    const char *name = NULL;
    raft_id leader = 0;
    memset(status, 0, sizeof *status);
    status->state = raft_state(raft);
    raft_leader(raft, &leader, &name);
    status->leader = leader;
    if (name) strncpy(status->leader_name, name, CRAFT_NAME_SIZE - 1);
    status->term = raft->current_term;
    status->last_index = raft_last_index(raft);
    status->commit_index = raft->commit_index;
    status->applied_index = raft_last_applied(raft);
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        uint64_t both = server->id ^ (uint64_t)(server->role + 1) << 56;
        status->configuration_signature = (status->configuration_signature ^ both) * 0x100000001b3ULL;
    }
    status->current = is_current(node, status);
}

unsigned craft_members(craft_node *node, craft_member *members, unsigned capacity) {
    const struct raft_configuration *configuration = &node->raft.configuration;
    for (unsigned i = 0; i < configuration->n && i < capacity; i++) {
        memset(&members[i], 0, sizeof members[i]);
        members[i].id = configuration->servers[i].id;
        members[i].role = configuration->servers[i].role;
        strncpy(members[i].name, configuration->servers[i].address, CRAFT_NAME_SIZE - 1);
    }
    return configuration->n;
}

uint64_t craft_term_of(const craft_node *node, uint64_t index) {
    if (node->closing) return 0;  // the trail has been released, or soon is
    const struct raft_trail *trail = &node->raft.trail;
    if (index == trail->snapshot.index) return trail->snapshot.term;
    if (index <= trail->offset || trail->size == 0) return 0;
    // A ring of the last index of each term.
    for (unsigned i = trail->front; i != trail->back; i = (i + 1) % trail->size)
        if (index <= trail->records[i].index) return trail->records[i].term;
    return 0;
}

void craft_get_counters(const craft_node *node, craft_counters *counters) { *counters = node->counters; }

uint64_t craft_now(const craft_node *node) { return uv_now(&node->loop); }
