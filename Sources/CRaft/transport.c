// libraft's transport: streams are opened and authenticated elsewhere, here they arrive as descriptors. The library's own TCP
// transport lets anybody in.
#include "internal.h"

#include <stdlib.h>
#include <unistd.h>

static int transport_init(struct raft_uv_transport *transport, raft_id id, const char *name) {
    (void)transport;
    (void)id;
    (void)name;
    return 0;
}

static int transport_listen(struct raft_uv_transport *transport, raft_uv_accept_cb accept) {
    ((craft_node *)transport->impl)->accept = accept;
    return 0;
}

static int transport_connect(
    struct raft_uv_transport *transport, struct raft_uv_connect *request, raft_id id, const char *name,
    raft_uv_connect_cb done) {
    craft_node *node = transport->impl;
    if (node->closing) return RAFT_CANCELED;
    struct craft_dial *dial = malloc(sizeof *dial);
    if (!dial) return RAFT_NOMEM;
    request->cb = done;
    dial->token = ++node->next_dial;
    dial->request = request;
    dial->next = node->dials;
    node->dials = dial;
    node->hooks.dial(node->hooks.context, dial->token, id, name);
    return 0;
}

// Any of them for token 0.
static struct raft_uv_connect *take_dial(craft_node *node, uint64_t token) {
    for (struct craft_dial **at = &node->dials; *at; at = &(*at)->next) {
        struct craft_dial *dial = *at;
        if (token != 0 && dial->token != token) continue;
        struct raft_uv_connect *request = dial->request;
        *at = dial->next;
        free(dial);
        return request;
    }
    return NULL;
}

static void transport_close(struct raft_uv_transport *transport, raft_uv_transport_close_cb done) {
    craft_node *node = transport->impl;
    struct raft_uv_connect *request;
    node->accept = NULL;
    while ((request = take_dial(node, 0))) request->cb(request, NULL, RAFT_CANCELED);
    done(transport);
}

void craft_set_transport(craft_node *node) {
    node->transport.version = 1;
    node->transport.impl = node;
    node->transport.init = transport_init;
    node->transport.listen = transport_listen;
    node->transport.connect = transport_connect;
    node->transport.close = transport_close;
}

static void free_handle(uv_handle_t *handle) { raft_free(handle); }

// From raft_malloc, as the library closes and releases it.
static struct uv_stream_s *stream_of(craft_node *node, int descriptor) {
    uv_pipe_t *pipe = raft_malloc(sizeof *pipe);
    if (!pipe) {
        close(descriptor);
        return NULL;
    }
    uv_pipe_init(&node->loop, pipe, 0);
    if (uv_pipe_open(pipe, descriptor) != 0) {
        close(descriptor);
        uv_close((uv_handle_t *)pipe, free_handle);
        return NULL;
    }
    return (struct uv_stream_s *)pipe;
}

void craft_dialed(craft_node *node, uint64_t token, int descriptor) {
    struct raft_uv_connect *request = token == 0 ? NULL : take_dial(node, token);
    if (!request) {
        if (descriptor >= 0) close(descriptor);  // cancelled meanwhile
        return;
    }
    struct uv_stream_s *stream = descriptor < 0 ? NULL : stream_of(node, descriptor);
    request->cb(request, stream, stream ? 0 : RAFT_NOCONNECTION);
}

void craft_accepted(craft_node *node, uint64_t id, const char *name, int descriptor) {
    if (!node->accept || node->closing || node->halted || id == 0) {
        close(descriptor);
        return;
    }
    struct uv_stream_s *stream = stream_of(node, descriptor);
    if (stream) node->accept(&node->transport, id, name, stream);
}
