/* One connection of the server, with or without TLS, and the loop that serves them all. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"

struct connection {
    int fd;
    SSL *tls; /* NULL without TLS */
    int upgraded, closed, echoes;
    int wants_write; /* epoll is asked to say when it can be written to */

    /* What was read and could not be used yet: a part of the request or of a frame's header. */
    uint8_t *rest;
    size_t rest_size;

    /* The frame being read. */
    struct frame frame;
    int in_frame, collects;
    uint64_t missing;
    uint8_t *payload;
    size_t payload_size, payload_room;

    /* What is to be written. */
    uint8_t *out;
    size_t out_at, out_size, out_room;
    uint8_t *block; /* of frames, written again and again */
    size_t block_at, block_size;
    uint64_t blast_left; /* bytes */
};

int serve(const char *certificate, const char *key);

void connection_queue(struct connection *c, const void *data, size_t size);
void connection_flush(struct connection *c);
void connection_close(struct connection *c);
void connection_blast(struct connection *c, uint64_t messages, uint64_t size);
int connection_make_room(struct connection *c, uint64_t size);
void connection_collect(struct connection *c, const uint8_t *data, size_t size);

/* What a connection calls. */
size_t connection_read_frames(struct connection *c, const uint8_t *data, size_t size);
void connection_forgotten(struct connection *c);

#endif
