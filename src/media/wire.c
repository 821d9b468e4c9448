/* SPDX-License-Identifier: Apache-2.0
 * Frames over a stream socket, with at most one descriptor each. Nothing here raises SIGPIPE. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "media/protocol.h"

typedef union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
} control;

static int flags_of(const ilki_media_wire *w)
{
    return MSG_NOSIGNAL | (w->wait ? MSG_DONTWAIT : 0);
}

/* After a call that moved nothing: again? */
static bool again(const ilki_media_wire *w, short events)
{
    if (errno == EINTR)
        return true;
    return w->wait && (errno == EAGAIN || errno == EWOULDBLOCK) && w->wait(w->user, w->sock, events);
}

/* Head and payload at once: the other side wakes up once. */
static bool send_parts(const ilki_media_wire *w, struct iovec io[2], int pass)
{
    while (io[0].iov_len + io[1].iov_len > 0) {
        control space;
        struct msghdr m = {.msg_iov = io, .msg_iovlen = 2};
        if (pass >= 0) {
            memset(&space, 0, sizeof space);
            m.msg_control = space.bytes;
            m.msg_controllen = sizeof space.bytes;
            struct cmsghdr *c = CMSG_FIRSTHDR(&m);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof pass);
            memcpy(CMSG_DATA(c), &pass, sizeof pass);
        }
        ssize_t sent = sendmsg(w->sock, &m, flags_of(w));
        if (sent > 0) {
            for (size_t i = 0, left = (size_t)sent; i < 2; i++) {
                size_t part = left < io[i].iov_len ? left : io[i].iov_len;
                io[i].iov_base = (char *)io[i].iov_base + part;
                io[i].iov_len -= part;
                left -= part;
            }
            pass = -1;
        } else if (!again(w, POLLOUT)) {
            return false;
        }
    }
    return true;
}

bool ilki_media_send(const ilki_media_wire *w, const void *payload, size_t n, int pass)
{
    if (n > ILKI_MEDIA_FRAME)
        return false;
    unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                             (unsigned char)(n >> 24)};
    struct iovec io[2] = {{head, sizeof head}, {(void *)(uintptr_t)payload, n}};
    return send_parts(w, io, pass);
}

/* Descriptors that came with a piece: the first stays where one is wanted, every other is closed. */
static void take_descriptors(struct msghdr *m, int *got)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (got && *got < 0)
                *got = fd;
            else
                close(fd);
        }
    }
}

static bool receive_bytes(const ilki_media_wire *w, void *to, size_t n, int *got)
{
    for (size_t done = 0; done < n;) {
        control space;
        struct iovec io = {(char *)to + done, n - done};
        struct msghdr m = {
            .msg_iov = &io, .msg_iovlen = 1, .msg_control = space.bytes, .msg_controllen = sizeof space.bytes};
        ssize_t r = recvmsg(w->sock, &m, flags_of(w) | MSG_CMSG_CLOEXEC);
        if (r > 0) {
            done += (size_t)r;
            take_descriptors(&m, got);
        } else if (r == 0 || !again(w, POLLIN)) {
            return false;
        }
    }
    return true;
}

bool ilki_media_receive(const ilki_media_wire *w, ilki_buf *payload, int *got)
{
    unsigned char head[4], block[4096];
    if (got)
        *got = -1;
    ilki_base_buf_reset(payload);
    bool ok = receive_bytes(w, head, sizeof head, got);
    size_t n = ok ? head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24 : 0;
    ok = ok && n <= ILKI_MEDIA_FRAME;
    while (ok && n > 0) {
        size_t part = n < sizeof block ? n : sizeof block;
        ok = receive_bytes(w, block, part, got) && ilki_base_buf_add(payload, block, part);
        n -= part;
    }
    if (!ok && got && *got >= 0) {
        close(*got);
        *got = -1;
    }
    return ok;
}
