/*
 * The server of the benchmarks: a WebSocket server (RFC 6455) that does as little as it can, so
 * that the client is what is measured.  One process, epoll.
 *
 *   server [CERTIFICATE KEY]      writes the port it listens on, ends with its standard input
 *
 * Binary messages are counted and thrown away.  A text message is a command:
 *
 *   until N          answer once N binary messages have arrived on all connections together, by
 *                    the text "MESSAGES BYTES PROCESSOR_SECONDS"
 *   blast N SIZE     send N binary messages of SIZE bytes on this connection
 *   echo             from now on, send back what arrives on this connection
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "frames.h"

/* A benchmark that takes longer than this has gone wrong. */
enum { LONGEST_LIFE_SECONDS = 900 };

static uint64_t total_messages, total_bytes;

/* Who wants to know when total_messages is wanted_messages; nobody if NULL. */
static struct connection *waiting;
static uint64_t wanted_messages;

static void send_frame(struct connection *c, uint8_t first_octet, const uint8_t *payload, size_t size)
{
    uint8_t header[MAX_HEADER];
    connection_queue(c, header, frame_header(header, first_octet, size));
    connection_queue(c, payload, size);
}

static void answer_if_reached(void)
{
    if (waiting == NULL || total_messages < wanted_messages)
        return;
    struct timespec spent;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    char text[96];
    int size = snprintf(text, sizeof text, "%llu %llu %.6f", (unsigned long long)total_messages,
                        (unsigned long long)total_bytes, spent.tv_sec + spent.tv_nsec / 1e9);
    struct connection *c = waiting;
    waiting = NULL;
    send_frame(c, FIN | TEXT, (const uint8_t *)text, size);
    connection_flush(c);
}

static void obey(struct connection *c, const char *command)
{
    unsigned long long number, size;
    if (sscanf(command, "until %llu", &number) == 1) {
        waiting = c;
        wanted_messages = number;
        answer_if_reached();
    } else if (sscanf(command, "blast %llu %llu", &number, &size) == 2) {
        connection_blast(c, number, size);
    } else if (command[0] == 'e') {
        c->echoes = 1;
    } else {
        fprintf(stderr, "unknown command: %s\n", command);
        connection_close(c);
    }
}

static void take_frame(struct connection *c, const struct frame *frame, uint8_t *payload)
{
    switch (frame->opcode) {
    case TEXT:
        payload[frame->size] = 0; /* there is room: see collect() */
        obey(c, (char *)payload);
        break;
    case PING:
        send_frame(c, FIN | PONG, payload, frame->size);
        break;
    case CLOSE:
        send_frame(c, FIN | CLOSE, payload, frame->size);
        connection_flush(c);
        connection_close(c);
        break;
    case BINARY:
    case CONTINUATION:
        send_frame(c, frame->first_octet, payload, frame->size);
        break;
    }
}

static int is_data(const struct frame *frame)
{
    return frame->opcode == BINARY || frame->opcode == CONTINUATION;
}

/* The whole payload of the frame that c is in has been read. */
static void end_frame(struct connection *c)
{
    struct frame frame = c->frame;
    c->in_frame = 0;
    if (is_data(&frame) && frame.first_octet & FIN)
        total_messages++;
    if (c->collects) {
        unmask(c->payload, frame.size, frame.mask);
        take_frame(c, &frame, c->payload);
    }
}

/* Read frames from size bytes; return how many of them were used. */
size_t connection_read_frames(struct connection *c, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (!c->closed && (c->in_frame || at < size)) {
        if (!c->in_frame) {
            size_t header = parse_header(data + at, size - at, &c->frame);
            if (header == 0)
                break;
            at += header;
            c->in_frame = 1;
            c->missing = c->frame.size;
            if (is_data(&c->frame))
                total_bytes += c->frame.size;
            c->collects = c->echoes || !is_data(&c->frame);
            if (c->collects && !connection_make_room(c, c->frame.size))
                break;
        }
        size_t take = size - at < c->missing ? size - at : c->missing;
        if (c->collects)
            connection_collect(c, data + at, take);
        at += take;
        c->missing -= take;
        if (c->missing > 0)
            break;
        end_frame(c);
    }
    answer_if_reached();
    return at;
}

void connection_forgotten(struct connection *c)
{
    if (waiting == c)
        waiting = NULL;
}

int main(int argc, char **argv)
{
    alarm(LONGEST_LIFE_SECONDS);
    return serve(argc == 3 ? argv[1] : NULL, argc == 3 ? argv[2] : NULL);
}
