/* SPDX-License-Identifier: Apache-2.0
 * What libilk and its helper program ilk-media say to each other: protocol 3.
 *
 * The helper is started as `ilk-media serve memory=BYTES cpu=SECONDS`, and `heavy` where it is to load the decoders that take
 * long to load (a helper without them does not list what they read), with three descriptors: 3, a stream socket; 4,
 * shared memory that the client made, ILKI_MEDIA_SLOTS slots: a window of ILKI_MEDIA_WINDOW bytes each, and
 * ILKI_MEDIA_INBOX more for small files; 0 to 2 are /dev/null. It limits itself, enters
 * its sandbox, says hello, and then answers one request after the other, in order, until the socket ends. A client may
 * ask for the next file before the answer about this one has come: with another slot.
 *
 * Every message is a frame: u32 n, then n bytes, n <= ILKI_MEDIA_FRAME. Numbers are little-endian; str is u16 n and n
 * bytes of UTF-8.
 *   hello    helper -> client, once   u32 'ILKM', u16 version, u8 sandbox (ilki_media_sandbox), str note, u16 n_rows,
 *                                     n_rows of {str name, str lacks}: what the helper reads, and what its build lacks for
 *                                     it ("" where it reads it)
 *   request  client -> helper         u32 id, u16 n_ops, n_ops of {u16 op, u16 n, n bytes}; the first byte of the frame
 *                                     carries the input as an open descriptor (SCM_RIGHTS): a regular or sealed memory
 *                                     file, to be read from offset 0 to its size; or its first operation is `inbox`
 *   answer   helper -> client         u32 id, u16 status (ilk_status), u16 form (ilki_media_form), u32 width, height,
 *                                     channels, frames, source_width, source_height, u64 n_bytes, str message, u32
 *                                     n_fields. The n_bytes lie at the beginning of the window, n_fields bytes of
 *                                     media/fields.h behind them. `message` says what is wrong with the file where status
 *                                     is not OK.
 * A request is a list of operations on one object that `open` makes; the last one answers:
 *   1 open       str reader, or "" for the first reader that knows the first bytes; must come first
 *   2 orient     -                               turns as EXIF says
 *   3 composite  u8 mode (0: drop alpha, 1: over the colour), u8 r, g, b
 *   4 resize     u8 family (0: Pillow, 1: torchvision's uint8 antialias), u8 filter (Pillow's numbers: 0 nearest,
 *                1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming), u8 rule (0: to width x height, 1: the shorter
 *                side to `width`, and the longer to at most `height` where that is not 0), u8 0, u32 width, u32 height
 *   5 crop       i32 left, i32 top, u32 width, u32 height; what lies outside is zero
 *   6 frames     u32 first, u32 n, u32 step      which frames of a moving picture; without it the first
 *   7 text       u64 most bytes                  answers FORM_TEXT: a document as src/docs/packed.c writes it
 *   8 pixels     u8 channels (1, 3 or 4)         answers FORM_PIXELS: u8 [frames][height][width][channels]
 *   9 size       -                               answers FORM_NONE, with source_width and source_height set
 *  10 stored     -                               answers FORM_PIXELS or a form behind it: pixels as the file holds them
 *  11 inbox      u64 n                           before `open`: the file is the n bytes behind the window
 *  12 fields     -                               what the file says about the picture comes with the answer
 *  13 thumbnail  u16 side, u8 turned             answers FORM_FILE: a JPEG whose longer side is at most `side`
 *  14 slot       u8 which                       first of all: the window and inbox of this request; without it slot 0
 *  15 paint      -                               what the file calls transparent by naming one colour becomes white
 * An operation that a helper does not know is answered with UNSUPPORTED; new ones take new numbers, new arguments are put
 * behind the old ones, and a helper that reads fewer of them is an older one. Anything else is a new version.
 *
 * The client trusts nothing that comes back: frames are bounded and parsed with a cursor, the window is copied out before
 * anybody looks at it, but for pixels, where any byte is as good as another and the window's size is fixed; a document is
 * parsed as any untrusted file is. A helper that breaks the protocol, is silent for longer than the request allows, or
 * ends, is killed, waited for and replaced; it costs the file it was at. */
#ifndef ILKI_MEDIA_PROTOCOL_H
#define ILKI_MEDIA_PROTOCOL_H

#include "base/buf.h"

enum {
    ILKI_MEDIA_VERSION = 3,
    ILKI_MEDIA_FRAME = 64 << 10,
    ILKI_MEDIA_INBOX = 4 << 20,
    ILKI_MEDIA_WINDOW = 342 << 20, /* as many pixels of four bytes as a picture may have */
    ILKI_MEDIA_SLOTS = 2,
    ILKI_MEDIA_SLOT_BYTES = ILKI_MEDIA_WINDOW + ILKI_MEDIA_INBOX,
    ILKI_MEDIA_SOCKET_FD = 3,
    ILKI_MEDIA_WINDOW_FD = 4,
    ILKI_MEDIA_MAX_ROWS = 64,
    ILKI_MEDIA_MAX_OPS = 32,
    ILKI_MEDIA_MAX_FILE = 1 << 20 /* of FORM_FILE */
};
#define ILKI_MEDIA_MAGIC 0x4d4b4c49u /* "ILKM" */

typedef enum ilki_media_op {
    ILKI_MEDIA_OPEN = 1,
    ILKI_MEDIA_ORIENT,
    ILKI_MEDIA_COMPOSITE,
    ILKI_MEDIA_RESIZE,
    ILKI_MEDIA_CROP,
    ILKI_MEDIA_FRAMES,
    ILKI_MEDIA_TEXT,
    ILKI_MEDIA_PIXELS,
    ILKI_MEDIA_SIZE,
    ILKI_MEDIA_STORED,
    ILKI_MEDIA_IN_INBOX,
    ILKI_MEDIA_FIELDS,
    ILKI_MEDIA_THUMBNAIL,
    ILKI_MEDIA_SLOT,
    ILKI_MEDIA_PAINT
} ilki_media_op;

/* Those behind PIXELS, but FILE, answer `stored` alone: what a resize sees that comes before the conversion to RGB. */
typedef enum ilki_media_form {
    ILKI_MEDIA_FORM_NONE,
    ILKI_MEDIA_FORM_TEXT,
    ILKI_MEDIA_FORM_PIXELS,
    ILKI_MEDIA_FORM_PICKED, /* RGB of indices or bits, and behind it the colours of indices 0 to 255, RGB */
    ILKI_MEDIA_FORM_ALPHA,  /* RGBA, not multiplied */
    ILKI_MEDIA_FORM_INK,    /* CMYK, 255 is full ink */
    ILKI_MEDIA_FORM_GRAY16, /* u16 of this machine */
    ILKI_MEDIA_FORM_GRAY32, /* the same numbers, where the file's kind has room for more and for less than 0 */
    ILKI_MEDIA_FORM_FILE,   /* bytes of a file, of width x height */
    ILKI_MEDIA_FORMS
} ilki_media_form;

/* How far a helper has locked itself in. */
typedef enum ilki_media_sandbox {
    ILKI_MEDIA_LIMITS,  /* resource limits alone: the system knows no more */
    ILKI_MEDIA_SECCOMP, /* and only the system calls of its list */
    ILKI_MEDIA_SANDBOXES
} ilki_media_sandbox;

typedef struct ilki_media_row {
    char name[24];
    char lacks[64]; /* "" : it is read */
} ilki_media_row;

typedef struct ilki_media_hello {
    ilki_media_sandbox sandbox;
    char note[200]; /* why it is not better, or "" */
    ilki_media_row rows[ILKI_MEDIA_MAX_ROWS];
    size_t n_rows;
} ilki_media_hello;

typedef struct ilki_media_answer {
    uint32_t id;
    ilk_status status;
    ilki_media_form form;
    uint32_t width, height, channels, frames, source_width, source_height;
    uint64_t n_bytes;
    uint32_t n_fields; /* bytes */
    char message[512];
} ilki_media_answer;

/* One operation within a request; `args` points into the frame. */
typedef struct ilki_media_step {
    ilki_media_op op;
    ilki_cur args;
} ilki_media_step;

/* Of a form of pixels: bytes of each, and bytes behind the last. */
size_t ilki_media_pixel_bytes(ilki_media_form form);
size_t ilki_media_behind_bytes(ilki_media_form form);

/* ---- writing: a payload without the frame's length. Operations are put behind each other into a buffer of their own,
 * which ilki_media_put_request then takes up. */
void ilki_media_put_str(ilki_buf *b, const char *s);
void ilki_media_put_hello(ilki_buf *b, const ilki_media_hello *h);
void ilki_media_put_request(ilki_buf *b, uint32_t id, const void *ops, size_t n_ops_bytes);
void ilki_media_put_answer(ilki_buf *b, const ilki_media_answer *a);

void ilki_media_add_open(ilki_buf *ops, const char *reader);
void ilki_media_add_slot(ilki_buf *ops, uint8_t which); /* goes first */
void ilki_media_add_inbox(ilki_buf *ops, uint64_t n);   /* goes next */
void ilki_media_add_text(ilki_buf *ops, uint64_t most_bytes);
/* any operation, its arguments as bytes */
void ilki_media_add_op(ilki_buf *ops, ilki_media_op op, const void *args, size_t n);

/* ---- reading payloads that are not trusted: BAD_FORMAT with what is wrong */
ilk_status ilki_media_get_hello(ilki_media_hello *h, const void *data, size_t n, ilk_error *err);
ilk_status ilki_media_get_request(uint32_t *id, ilki_media_step steps[ILKI_MEDIA_MAX_OPS], size_t *n_steps,
                                  const void *data, size_t n, ilk_error *err);
/* Also: a size that fits form and dimensions, and the window; a message that is UTF-8; no status that would say something
 * about the client (NO_MEMORY, CANCELLED, DEADLINE, FORKED become LIMIT or BAD_FORMAT). */
ilk_status ilki_media_get_answer(ilki_media_answer *a, const void *data, size_t n, ilk_error *err);
bool ilki_media_get_str(ilki_cur *c, char *to, size_t n_to); /* cut at n_to - 1 bytes */

/* ---- frames over a socket. `wait` is asked whenever the socket would block, with POLLIN or POLLOUT, and says whether to
 * go on; NULL: the socket blocks by itself. False: the other side has gone, or wait said no. */
typedef bool (*ilki_media_wait_fn)(void *user, int sock, short events);
typedef struct ilki_media_wire {
    int sock;
    ilki_media_wait_fn wait;
    void *user;
} ilki_media_wire;

/* `pass`: a descriptor that goes with the frame, or -1. */
bool ilki_media_send(const ilki_media_wire *w, const void *payload, size_t n, int pass);
/* *payload is filled; *got is a descriptor that came with it, or -1 (NULL: none is taken, any is closed). A length past
 * ILKI_MEDIA_FRAME is as good as an end. */
bool ilki_media_receive(const ilki_media_wire *w, ilki_buf *payload, int *got);

#endif
