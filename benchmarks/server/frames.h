/* Frames (RFC 6455, section 5.2): octets to headers and back. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };
enum { MAX_HEADER = 14 };

struct frame {
    uint8_t first_octet, opcode;
    uint8_t mask[4];
    uint64_t size;
};

/* Return the length of the header at data, or 0 if it is not complete. */
static inline size_t parse_header(const uint8_t *data, size_t size, struct frame *frame)
{
    if (size < 2)
        return 0;
    size_t at = 2;
    uint64_t length = data[1] & 0x7f;
    if (length >= 126) {
        size_t octets = length == 126 ? 2 : 8;
        if (size < at + octets)
            return 0;
        length = 0;
        for (size_t i = 0; i < octets; i++)
            length = length << 8 | data[at++];
    }
    memset(frame->mask, 0, 4);
    if (data[1] & 0x80) {
        if (size < at + 4)
            return 0;
        memcpy(frame->mask, data + at, 4);
        at += 4;
    }
    frame->first_octet = data[0];
    frame->opcode = data[0] & 0x0f;
    frame->size = length;
    return at;
}

/* Write the header of an unmasked frame; return its length. */
static inline size_t frame_header(uint8_t *header, uint8_t first_octet, uint64_t size)
{
    header[0] = first_octet;
    if (size < 126) {
        header[1] = size;
        return 2;
    }
    size_t octets = size < 65536 ? 2 : 8;
    header[1] = octets == 2 ? 126 : 127;
    for (size_t i = 0; i < octets; i++)
        header[2 + i] = size >> 8 * (octets - 1 - i);
    return 2 + octets;
}

static inline void unmask(uint8_t *payload, size_t size, const uint8_t mask[4])
{
    uint64_t wide;
    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t block;
        memcpy(&block, payload + i, 8);
        block ^= wide;
        memcpy(payload + i, &block, 8);
    }
    for (; i < size; i++)
        payload[i] ^= mask[i & 3];
}

#endif
