/* See connection.h. */
#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 262144, BLOCK_SIZE = 262144, MAX_HEAD = 16384, BACKLOG = 4096, EVENTS = 256 };
static const uint64_t LARGEST_FRAME = 128 << 20;

static int epoll;
static SSL_CTX *tls_context;
/* With room in front for the rest of what was read before. */
static uint8_t read_buffer[MAX_HEAD + READ_SIZE];

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* Bytes read or written; 0 if that has to wait; -1 if the connection is lost. */
static ssize_t outcome(struct connection *c, ssize_t done)
{
    if (done > 0)
        return done;
    if (c->tls != NULL) {
        int error = SSL_get_error(c->tls, done);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    return done < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t read_some(struct connection *c, uint8_t *data, size_t size)
{
    return outcome(c, c->tls ? SSL_read(c->tls, data, size) : read(c->fd, data, size));
}

static ssize_t write_some(struct connection *c, const uint8_t *data, size_t size)
{
    return outcome(c, c->tls ? SSL_write(c->tls, data, size) : write(c->fd, data, size));
}

/* Its memory is freed at the end of the turn, when nobody holds it any more. */
void connection_close(struct connection *c)
{
    c->closed = 1;
}

static void forget(struct connection *c)
{
    connection_forgotten(c);
    if (c->tls)
        SSL_free(c->tls);
    close(c->fd);
    free(c->rest);
    free(c->payload);
    free(c->out);
    free(c->block);
    free(c);
}

int connection_make_room(struct connection *c, uint64_t size)
{
    c->payload_size = 0;
    if (size > LARGEST_FRAME) {
        connection_close(c);
        return 0;
    }
    if (c->payload_room < size + 1) { /* one more, so that a text can be ended by 0 */
        c->payload_room = size + 1;
        c->payload = checked(realloc(c->payload, c->payload_room));
    }
    return 1;
}

void connection_collect(struct connection *c, const uint8_t *data, size_t size)
{
    memcpy(c->payload + c->payload_size, data, size);
    c->payload_size += size;
}

void connection_queue(struct connection *c, const void *data, size_t size)
{
    if (c->out_size + size > c->out_room) {
        c->out_room = 2 * (c->out_size + size);
        c->out = checked(realloc(c->out, c->out_room));
    }
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
}

void connection_blast(struct connection *c, uint64_t messages, uint64_t size)
{
    uint8_t header[MAX_HEADER];
    size_t header_size = frame_header(header, FIN | BINARY, size);
    size_t frame_size = header_size + size;
    size_t frames = frame_size < BLOCK_SIZE ? BLOCK_SIZE / frame_size : 1;
    c->block = checked(realloc(c->block, frames * frame_size));
    c->block_size = frames * frame_size;
    c->block_at = 0;
    for (size_t i = 0; i < frames; i++) {
        memcpy(c->block + i * frame_size, header, header_size);
        memset(c->block + i * frame_size + header_size, 'x', size);
    }
    c->blast_left = messages * frame_size;
}

static void watch_writing(struct connection *c, int wanted)
{
    if (c->wants_write == wanted)
        return;
    c->wants_write = wanted;
    struct epoll_event event = {EPOLLIN | (wanted ? EPOLLOUT : 0), {.ptr = c}};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* Write answers, and then at most one block: the other connections have their turn, too. */
void connection_flush(struct connection *c)
{
    ssize_t done = 0;
    while (c->out_at < c->out_size) {
        done = write_some(c, c->out + c->out_at, c->out_size - c->out_at);
        if (done <= 0)
            break;
        c->out_at += done;
    }
    if (c->out_at == c->out_size) {
        c->out_at = c->out_size = 0;
        if (c->blast_left > 0) {
            size_t size = c->block_size - c->block_at;
            size = size < c->blast_left ? size : c->blast_left;
            done = write_some(c, c->block + c->block_at, size);
            if (done > 0) {
                c->blast_left -= done;
                c->block_at = (c->block_at + done) % c->block_size;
            }
        }
    }
    if (done < 0)
        connection_close(c);
    else
        watch_writing(c, c->out_size > 0 || c->blast_left > 0);
}

/* Answer the request for an upgrade (RFC 6455, section 4.2.2); return the bytes it had. */
static size_t upgrade(struct connection *c, const uint8_t *data, size_t size)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", field[] = "sec-websocket-key:";
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    char head[MAX_HEAD + 1];
    size_t head_size = end + 4 - data;
    if (head_size > MAX_HEAD) {
        connection_close(c);
        return 0;
    }
    memcpy(head, data, head_size);
    head[head_size] = 0;
    char *key = strcasestr(head, field);
    char text[128], accept[64];
    uint8_t digest[SHA_DIGEST_LENGTH];
    if (key == NULL || sscanf(key + sizeof field - 1, " %64s", text) != 1) {
        connection_close(c);
        return 0;
    }
    strcat(text, magic);
    SHA1((uint8_t *)text, strlen(text), digest);
    EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    char answer[256];
    int answer_size = snprintf(answer, sizeof answer,
                               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                               accept);
    connection_queue(c, answer, answer_size);
    c->upgraded = 1;
    return head_size;
}

static void take(struct connection *c, const uint8_t *data, size_t size)
{
    size_t used = 0;
    if (!c->upgraded)
        used = upgrade(c, data, size);
    if (c->upgraded)
        used += connection_read_frames(c, data + used, size - used);
    c->rest_size = size - used;
    if (c->rest_size > MAX_HEAD)
        connection_close(c);
    else if (c->rest_size > 0) {
        c->rest = checked(realloc(c->rest, MAX_HEAD));
        memcpy(c->rest, data + used, c->rest_size);
    }
}

static void readable(struct connection *c)
{
    do {
        ssize_t done = read_some(c, read_buffer + MAX_HEAD, READ_SIZE);
        if (done < 0)
            connection_close(c);
        if (done <= 0)
            return;
        uint8_t *data = read_buffer + MAX_HEAD - c->rest_size;
        memcpy(data, c->rest, c->rest_size);
        take(c, data, c->rest_size + done);
    } while (!c->closed && c->tls != NULL && SSL_has_pending(c->tls));
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = checked(calloc(1, sizeof *c));
        c->fd = fd;
        if (tls_context != NULL) {
            c->tls = checked(SSL_new(tls_context));
            SSL_set_fd(c->tls, fd);
            SSL_set_accept_state(c->tls);
        }
        c->rest = checked(malloc(MAX_HEAD));
        struct epoll_event event = {EPOLLIN, {.ptr = c}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, BACKLOG) < 0)
        return -1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static int prepare_tls(const char *certificate, const char *key)
{
    tls_context = checked(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls_context, 1); /* one system call for many small records */
    return SSL_CTX_use_certificate_chain_file(tls_context, certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) == 1;
}

int serve(const char *certificate, const char *key)
{
    static char listening, input; /* to tell by their addresses, as connections are */
    signal(SIGPIPE, SIG_IGN);
    if (certificate != NULL && !prepare_tls(certificate, key))
        return 1;
    int listener = listen_on_loopback();
    epoll = epoll_create1(0);
    struct epoll_event for_listener = {EPOLLIN, {.ptr = &listening}};
    struct epoll_event for_input = {EPOLLIN, {.ptr = &input}};
    if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &for_listener) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &for_input) < 0) {
        perror("server");
        return 1;
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &input)
                return 0; /* nothing is ever written there: it has ended */
            if (events[i].data.ptr == &listening) {
                accept_all(listener);
                continue;
            }
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                readable(c);
            if (!c->closed)
                connection_flush(c);
            if (c->closed)
                forget(c);
        }
    }
}
