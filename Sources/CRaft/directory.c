// The files of a log whose node does not run.
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// NULL when it cannot be read.
static uint8_t *read_file(const char *directory, const char *name, size_t *length) {
    char path[4096];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return NULL;
    uint8_t *bytes = NULL;
    if (fstat(descriptor, &info) == 0) bytes = malloc((size_t)info.st_size + 1);
    *length = 0;
    while (bytes && *length < (size_t)info.st_size) {
        ssize_t count = read(descriptor, bytes + *length, (size_t)info.st_size - *length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            free(bytes);
            bytes = NULL;
            break;
        }
        *length += (size_t)count;
    }
    close(descriptor);
    return bytes;
}

struct snapshot_name {
    unsigned long long term, index, time;
    char file[128];
};

static bool newer(const struct snapshot_name *left, const struct snapshot_name *right) {
    if (left->term != right->term) return left->term > right->term;
    if (left->index != right->index) return left->index > right->index;
    return left->time > right->time;
}

// The newest whose two files are there: one without contents is a leftover of a crash.
static bool newest_snapshot(const char *directory, struct snapshot_name *newest) {
    DIR *listing = opendir(directory);
    struct dirent *entry;
    bool found = false;
    if (!listing) return false;
    while ((entry = readdir(listing))) {
        struct snapshot_name name;
        struct stat info;
        int end = 0;
        char path[4096];
        if (strlen(entry->d_name) >= sizeof name.file) continue;
        if (sscanf(entry->d_name, "snapshot-%llu-%llu-%llu.meta%n", &name.term, &name.index, &name.time, &end) != 3)
            continue;
        if (end == 0 || entry->d_name[end]) continue;
        snprintf(name.file, sizeof name.file, "snapshot-%llu-%llu-%llu", name.term, name.index, name.time);
        snprintf(path, sizeof path, "%s/%s", directory, name.file);
        if (stat(path, &info) != 0) continue;
        if (!found || newer(&name, newest)) *newest = name;
        found = true;
    }
    closedir(listing);
    return found;
}

// The CRC of libraft's files: polynomial 0x04c11db7, most significant bit first, from 0.
static uint32_t library_crc(const uint8_t *bytes, size_t length) {
    uint32_t crc = 0;
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint32_t)bytes[i] << 24;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
    }
    return crc;
}

static int check_metadata(const char *directory, const struct snapshot_name *name, char error[CRAFT_ERROR_SIZE]) {
    char file[sizeof name->file + 8];
    uint64_t header[4];
    size_t length;
    snprintf(file, sizeof file, "%s.meta", name->file);
    uint8_t *bytes = read_file(directory, file, &length);
    if (!bytes) {
        craft_say(error, "%s/%s cannot be read: %s", directory, file, strerror(errno));
        return CRAFT_FAILED;
    }
    const char *damage = NULL;
    if (length < sizeof header) damage = "it is too short";
    else {
        memcpy(header, bytes, sizeof header);
        if (header[0] != 1) damage = "its format, at offset 0, is unknown";
        else if (header[3] != length - sizeof header) damage = "the length at offset 24 is wrong";
        else if (header[1] != library_crc(bytes + 16, length - 16)) damage = "the checksum at offset 8 does not fit";
    }
    free(bytes);
    if (!damage) return CRAFT_OK;
    craft_say(error, "%s/%s is damaged: %s", directory, file, damage);
    return CRAFT_DAMAGED;
}

// The library passes over a snapshot with damaged metadata and takes the one before it, whose successors in open segments it
// then numbers wrongly; contents it does not check at all.
int craft_check_snapshot(const char *directory, char error[CRAFT_ERROR_SIZE]) {
    struct snapshot_name name;
    if (!newest_snapshot(directory, &name)) return CRAFT_OK;
    int rv = check_metadata(directory, &name, error);
    if (rv != CRAFT_OK) return rv;
    size_t length;
    uint8_t *bytes = read_file(directory, name.file, &length);
    if (!bytes) {
        craft_say(error, "%s/%s cannot be read: %s", directory, name.file, strerror(errno));
        return CRAFT_FAILED;
    }
    craft_chunks_info info;
    rv = craft_chunks_check(bytes, length, &info);
    free(bytes);
    if (rv != CRAFT_OK)
        craft_say(error, "%s/%s is damaged at offset %zu", directory, name.file, info.damage_offset);
    return rv;
}

// --- Nodes that only read ----------------------------------------------------------------------------------------------

static void ignore_wake(void *context) { (void)context; }
static int ignore_apply(void *context, uint64_t index, const void *base, size_t length) {
    (void)context, (void)index, (void)base, (void)length;
    return 0;
}
static int ignore_snapshot(void *context, uint64_t index, craft_chunks *chunks) {
    (void)context, (void)index, (void)chunks;
    return CRAFT_FAILED;
}
static void ignore_finished(void *context, uint64_t token, int result) {
    (void)context, (void)token, (void)result;
}
static void ignore_turn(void *context, bool changed) { (void)context, (void)changed; }
static void ignore_dial(void *context, uint64_t token, uint64_t id, const char *name) {
    (void)context, (void)token, (void)id, (void)name;
}

static craft_node *open_directory(const char *directory, int *result, char error[CRAFT_ERROR_SIZE]) {
    craft_hooks hooks = {NULL, ignore_wake, ignore_apply, ignore_snapshot, ignore_apply, ignore_finished,
                         ignore_turn, ignore_dial};
    craft_options options = {
        .id = 1, .name = "reader", .directory = directory, .election_milliseconds = 1000,
        .heartbeat_milliseconds = 100, .snapshot_entries = 1024, .trailing_entries = 1};
    return craft_create(&options, &hooks, result, error);
}

int craft_recover(
    const char *directory, const craft_member *members, unsigned count, char error[CRAFT_ERROR_SIZE]) {
    craft_inspection inspection;
    int result = craft_inspect(directory, &inspection, error);
    if (result != CRAFT_OK) return result;
    if (inspection.last_index == 0) {
        craft_say(error, "%s holds no log to recover", directory);
        return CRAFT_FAILED;
    }
    craft_node *node = open_directory(directory, &result, error);
    if (!node) return result;
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int rv = 0;
    for (unsigned i = 0; i < count && rv == 0; i++)
        rv = raft_configuration_add(&configuration, members[i].id, members[i].name, members[i].role);
    if (rv == 0) rv = raft_recover(&node->raft, &configuration);
    if (rv != 0) craft_say(error, "%s: %s", raft_strerror(rv), node->io.errmsg);
    raft_configuration_close(&configuration);
    craft_destroy(node);
    return craft_result_of(rv);
}

static void take_members(craft_inspection *inspection, const struct raft_configuration *configuration) {
    unsigned room = sizeof inspection->members / sizeof *inspection->members;
    inspection->member_count = configuration->n < room ? configuration->n : room;
    for (unsigned i = 0; i < inspection->member_count; i++) {
        craft_member *member = &inspection->members[i];
        memset(member, 0, sizeof *member);
        member->id = configuration->servers[i].id;
        member->role = configuration->servers[i].role;
        strncpy(member->name, configuration->servers[i].address, CRAFT_NAME_SIZE - 1);
    }
}

int craft_inspect(const char *directory, craft_inspection *inspection, char error[CRAFT_ERROR_SIZE]) {
    int result;
    memset(inspection, 0, sizeof *inspection);
    craft_node *node = open_directory(directory, &result, error);
    if (!node) return result;
    raft_term term;
    raft_id voted_for;
    struct raft_snapshot *snapshot;
    raft_index start_index;
    struct raft_entry *entries;
    size_t count;
    int rv = node->io.load(&node->io, &term, &voted_for, &snapshot, &start_index, &entries, &count);
    if (rv != 0) {
        craft_say(error, "%s: %s", directory, node->io.errmsg);
        craft_destroy(node);
        return craft_result_of(rv);
    }
    inspection->term = term;
    inspection->last_index = start_index + count - 1;
    if (snapshot) {
        inspection->snapshot_index = snapshot->index;
        inspection->last_term = snapshot->term;
        take_members(inspection, &snapshot->configuration);
        raft_configuration_close(&snapshot->configuration);
        raft_free(snapshot->bufs[0].base);
        raft_free(snapshot->bufs);
        raft_free(snapshot);
    }
    if (count > 0) inspection->last_term = entries[count - 1].term;
    void *batch = NULL;
    for (size_t i = 0; i < count; i++) {
        struct raft_configuration configuration;
        if (entries[i].type == RAFT_CHANGE && raft_configuration_decode(&entries[i].buf, &configuration) == 0) {
            take_members(inspection, &configuration);
            raft_configuration_close(&configuration);
        }
        // Entries that were read together share one allocation, and are neighbours.
        if (entries[i].batch != batch) {
            raft_free(batch);
            batch = entries[i].batch;
        }
    }
    raft_free(batch);
    raft_free(entries);
    craft_destroy(node);
    return CRAFT_OK;
}
