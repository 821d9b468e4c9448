/* SPDX-License-Identifier: Apache-2.0
 * A helper that breaks the protocol of src/media/protocol.h, in the way that the name it is started by says. It links
 * nothing: messages are written by hand. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCKET = 3, WINDOW = 4, BAD_FORMAT = 4 };

static unsigned char frame[1 << 17];
static size_t n_frame;

static void put(uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        frame[n_frame++] = (unsigned char)(v >> 8 * i);
}

static void send_frame(uint32_t n)
{
    const unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                                   (unsigned char)(n >> 24)};
    if (send(SOCKET, head, 4, MSG_NOSIGNAL) != 4 || send(SOCKET, frame, n_frame, MSG_NOSIGNAL) < 0)
        _exit(0);
    n_frame = 0;
}

static void hello(unsigned version, unsigned sandbox, unsigned n_rows)
{
    put(0x4d4b4c49, 4);
    put(version, 2);
    put(sandbox, 1);
    put(0, 2);
    put(n_rows, 2);
    put(4, 2);
    memcpy(frame + n_frame, "html", 4);
    n_frame += 4;
    put(0, 2);
    send_frame((uint32_t)n_frame);
}

/* Of the request at hand: where its answer goes, and where its file lies. */
static unsigned slot;
static int has_inbox;

/* u32 id, u16 n, n of {u16 op, u16 n, n bytes} */
static void operations(const unsigned char *in, size_t n)
{
    slot = 0;
    has_inbox = 0;
    for (size_t at = 6; at + 4 <= n; at += 4 + (in[at + 2] | (size_t)in[at + 3] << 8)) {
        if (in[at] == 14)
            slot = in[at + 4];
        has_inbox |= in[at] == 11;
    }
}

static uint32_t request(void)
{
    unsigned char in[65536];
    if (recv(SOCKET, in, 4, MSG_WAITALL) != 4)
        _exit(0);
    uint32_t n = in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16;
    if (n > sizeof in || recv(SOCKET, in, n, MSG_WAITALL) != (ssize_t)n)
        _exit(0);
    operations(in, n);
    return in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static void answer(uint32_t id, unsigned status, unsigned form, uint32_t side, uint64_t n_bytes)
{
    put(id, 4);
    put(status, 2);
    put(form, 2);
    for (int i = 0; i < 2; i++)
        put(side, 4);
    put(3, 4);
    put(1, 4);
    put(side, 4);
    put(side, 4);
    put(n_bytes, 8);
    put(0, 2);
    put(0, 4);
}

static void fill_window(const char *text)
{
    char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, WINDOW, 0);
    if (w != MAP_FAILED)
        snprintf(w, 4096, "%s", text);
}

/* A picture of one pixel, the file's first three bytes, unless they say otherwise, or it is for a heavy helper. */
static void obey(uint32_t id, bool heavy)
{
    const off_t window = 342 << 20, bytes = window + (4 << 20);
    unsigned char *w = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, WINDOW, slot * bytes);
    if (w == MAP_FAILED || !has_inbox)
        _exit(1);
    if (w[window] == 'X')
        raise(SIGKILL);
    if (w[window] == 'H')
        pause();
    bool bad = w[window] == 'B' || (!heavy && memcmp(w + window + 4, "ftyp", 4) == 0);
    memcpy(w, w + window, 3);
    munmap(w, (size_t)bytes);
    answer(id, bad ? BAD_FORMAT : 0, bad ? 0 : 2, !bad, bad ? 0 : 3);
}

int main(int argc, char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    /* the file is a copy of this program, called liar-<way> */
    self[n > 0 ? n : 0] = '\0';
    const char *how = strrchr(self, '-') ? strrchr(self, '-') + 1 : "";
#define IS(word) (strcmp(how, word) == 0)
    if (IS("mute"))
        pause();
    if (IS("dead"))
        return 7;
    hello(IS("version") ? 99 : 3, IS("sandbox") ? 9 : 1, IS("rows") ? 9 : 1);
    for (unsigned served = 0;; served++) {
        uint32_t id = request();
        if (IS("hang"))
            pause();
        if (IS("crash"))
            signal(SIGSEGV, SIG_DFL), raise(SIGSEGV); /* a sanitizer would make a report of it first */
        if (IS("tired") && served == 2)
            raise(SIGKILL); /* had served others: not this file's fault */
        if (IS("huge"))
            send_frame(0xffffffu);
        if (IS("half")) {
            put(id, 4);
            send_frame(40);
            pause();
        }
        if (IS("shorter") && ftruncate(WINDOW, 0) != 0)
            return 1;
        if (IS("memory"))
            answer(id, 2, 0, 0, 0); /* NO_MEMORY */
        else if (IS("cancelled"))
            answer(id, 11, 0, 0, 0);
        else if (IS("number"))
            answer(id + 1, 0, 1, 0, 4);
        else if (IS("beyond"))
            answer(id, 0, 1, 0, (uint64_t)1 << 40);
        else if (IS("pixels"))
            answer(id, 0, 2, 0xffff, 12);
        else if (IS("form"))
            answer(id, 0, 9, 0, 4);
        else if (IS("shorter"))
            answer(id, 0, 1, 0, 4096);
        else if (IS("obedient"))
            obey(id, strcmp(argv[argc - 1], "heavy") == 0);
        else
            answer(id, 0, 1, 0, 4);
        if (!IS("shorter") && !IS("obedient"))
            fill_window("good");
        if (IS("trailing"))
            put(0, 8);
        send_frame((uint32_t)n_frame);
    }
}
