/* SPDX-License-Identifier: Apache-2.0
 * Messages are formatted on the stack first: their arguments may point into the error that is being overwritten. The
 * room in an ilk_error follows from its own size member, so that a caller with an older struct is not overrun. */
#include "base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { MESSAGE_BYTES = sizeof(((ilk_error *)NULL)->message), MAX_OPTION_BYTES = 65536 };

/* Bytes of message that err has room for, the NUL included; 0 for an error too small to hold any. */
static size_t message_room(const ilk_error *err)
{
    size_t head = offsetof(ilk_error, message);
    if (err->size <= head)
        return 0;
    return err->size - head < MESSAGE_BYTES ? err->size - head : (size_t)MESSAGE_BYTES;
}

/* Copies text as valid UTF-8 of at most room - 1 bytes. */
static void put_message(ilk_error *err, const char *text)
{
    size_t room = message_room(err), n = strlen(text), used = 0;
    if (room == 0)
        return;
    for (size_t i = 0, len; i < n; i += len) {
        char out[4];
        uint32_t cp = ilki_base_utf8_get(text + i, n - i, &len);
        if ((cp < 0x20 && cp != '\n') || (cp >= 0x7f && cp < 0xa0))
            cp = '?';
        size_t m = ilki_base_utf8_put(cp, out);
        if (used + m >= room)
            break;
        memcpy(err->message + used, out, m);
        used += m;
    }
    err->message[used] = '\0';
}

static void set_error(ilk_error *err, ilk_status status, const char *text)
{
    if (err->size >= offsetof(ilk_error, message))
        err->status = status;
    put_message(err, text);
}

/* vsnprintf whose cut never leaves half a character behind. */
static ILKI_PRINTF(3, 0) void format(char *out, size_t room, const char *fmt, va_list args)
{
    int n = vsnprintf(out, room, fmt, args);
    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= room)
        out[ilki_base_utf8_floor(out, room - 1)] = '\0';
}

ilk_status ilki_base_fail(ilk_error *err, ilk_status status, const char *fmt, ...)
{
    if (err) {
        char text[MESSAGE_BYTES];
        va_list args;
        va_start(args, fmt);
        format(text, sizeof text, fmt, args);
        va_end(args);
        set_error(err, status, text);
    }
    return status;
}

/* strerror_r is of two kinds: POSIX returns a number and fills the buffer, GNU returns the text. */
static const char *text_of_posix(int rc, const char *buf)
{
    return rc == 0 ? buf : "unknown system error";
}
static const char *text_of_gnu(const char *text, const char *buf)
{
    return text ? text : buf;
}
#define STRERROR(e, buf)                                                                                               \
    _Generic(strerror_r(e, buf, sizeof buf), int                                                                       \
             : text_of_posix, default                                                                                  \
             : text_of_gnu)(strerror_r(e, buf, sizeof buf), buf)

ilk_status ilki_base_fail_errno(ilk_error *err, ilk_status status, int errno_value, const char *fmt, ...)
{
    if (errno_value == ENOMEM)
        status = ILK_NO_MEMORY;
    else if (errno_value == ENOENT)
        status = ILK_NOT_FOUND;
    if (err) {
        char text[MESSAGE_BYTES], reason[128], all[MESSAGE_BYTES + 256];
        va_list args;
        va_start(args, fmt);
        format(text, sizeof text - 128, fmt, args);
        va_end(args);
        reason[0] = '\0';
        snprintf(all, sizeof all, "%s: %s", text, STRERROR(errno_value, reason));
        set_error(err, status, all);
    }
    return status;
}

ilk_status ilki_base_fail_memory(ilk_error *err, size_t n_bytes, const char *what)
{
    return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory: %zu bytes for %s", n_bytes, what);
}

void ilki_base_error_prefix(ilk_error *err, const char *fmt, ...)
{
    if (!err || message_room(err) == 0)
        return;
    char text[MESSAGE_BYTES], all[2 * MESSAGE_BYTES + 2];
    va_list args;
    va_start(args, fmt);
    format(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(all, sizeof all, "%s: %s", text, err->message);
    put_message(err, all);
}

void ilki_base_error_copy(ilk_error *to, const ilk_error *from)
{
    if (!to || !from || to == from)
        return;
    bool known = from->size >= offsetof(ilk_error, message);
    set_error(to, known ? from->status : ILK_OK, message_room(from) ? from->message : "");
}

ilk_status ilki_base_take_options(void *to, size_t n, const void *from, const char *what, ilk_error *err)
{
    size_t size;
    if (!from)
        return ILK_OK;
    memcpy(&size, from, sizeof size);
    if (size <= sizeof size || size > MAX_OPTION_BYTES)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "%s: its size member is %zu, expected about %zu; was its init macro called?", what, size,
                              n);
    memcpy(to, from, size < n ? size : n);
    memcpy(to, &n, sizeof n);
    return ILK_OK;
}
