/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "test.h"

static void status_strings(void)
{
    CHECK_STR(ilk_status_string(ILK_OK), "ok");
    CHECK_STR(ilk_status_string(ILK_FORKED), "used after fork");
    CHECK_STR(ilk_status_string(ILK_STATUS_COUNT), "unknown status");
    CHECK_STR(ilk_status_string((ilk_status)-1), "unknown status");
    CHECK_STR(ilk_version(), ILK_VERSION);
}

static void fail_writes_message(void)
{
    ilk_error err;
    ilk_error_init(&err);
    CHECK_INT(err.size, sizeof err);
    CHECK_INT(err.status, ILK_OK);
    CHECK_STR(err.message, "");
    CHECK_STATUS(ilki_base_fail(&err, ILK_LIMIT, "%s: %d", "x.json", 7), ILK_LIMIT, NULL);
    CHECK_INT(err.status, ILK_LIMIT);
    CHECK_STR(err.message, "x.json: 7");
    CHECK_STATUS(ilki_base_fail(&err, ILK_IO, "again: %s", err.message), ILK_IO, NULL);
    CHECK_STR(err.message, "again: x.json: 7");
    CHECK_STATUS(ilki_base_fail(NULL, ILK_IO, "nobody"), ILK_IO, NULL);
    CHECK_STATUS(ilki_base_fail_memory(&err, 12, "twelve"), ILK_NO_MEMORY, NULL);
    CHECK_STR(err.message, "out of memory: 12 bytes for twelve");
}

static void bytes_become_text(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_fail(&err, ILK_IO, "%s", "a\x1b[31m\x7f\xc2\x85\tb\nc\xff\xc3");
    CHECK_STR(err.message, "a?[31m???b\nc\xef\xbf\xbd\xef\xbf\xbd");
}

/* Every length around the end of the message, in characters of two and three bytes: whole, terminated and maximal. */
static void long_message_is_cut_at_character(void)
{
    static const char *const chars[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t lead = 0; lead < 4; lead++) {
            char text[3000];
            size_t n = strlen(chars[c]), len = lead;
            memset(text, 'x', lead);
            for (; len + n < 2500; len += n)
                memcpy(text + len, chars[c], n);
            text[len] = '\0';
            ilk_error err;
            ilk_error_init(&err);
            ilki_base_fail(&err, ILK_IO, "%s", text);
            size_t got = strlen(err.message);
            CHECK(got > sizeof err.message - 1 - n && got < sizeof err.message);
            CHECK(ilki_base_utf8_valid(err.message, got));
            CHECK_MEM(err.message, text, got);
        }
    }
}

/* A caller's struct of an older, smaller version is not overrun. */
static void small_error_is_respected(void)
{
    for (size_t size = 0; size < sizeof(ilk_error); size += size < 40 ? 1 : 97) {
        unsigned char *raw = malloc(sizeof(ilk_error) + 8);
        REQUIRE(CHECK(raw != NULL));
        memset(raw, 0xa5, sizeof(ilk_error) + 8);
        ilk_error_init_sized(raw, size);
        ilk_error *err = (ilk_error *)(void *)raw;
        if (size < sizeof(size_t)) {
            CHECK_INT(raw[0], 0xa5);
        } else {
            ilki_base_fail(err, ILK_IO, "%s", "0123456789012345678901234567890123456789");
            ilki_base_error_prefix(err, "%s", "prefix");
            if (size > offsetof(ilk_error, message)) {
                CHECK_INT(err->status, ILK_IO);
                CHECK(strlen(err->message) < size - offsetof(ilk_error, message));
            }
            CHECK_INT(raw[size], 0xa5);
        }
        free(raw);
    }
}

static void errno_chooses_status(void)
{
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_base_fail_errno(&err, ILK_IO, ENOENT, "open %s", "f"), ILK_NOT_FOUND, NULL);
    CHECK_STR(err.message, "open f: No such file or directory");
    CHECK_STATUS(ilki_base_fail_errno(&err, ILK_IO, ENOMEM, "map"), ILK_NO_MEMORY, NULL);
    CHECK_STATUS(ilki_base_fail_errno(&err, ILK_IO, EACCES, "open"), ILK_IO, NULL);
    CHECK_INT(err.status, ILK_IO);
    CHECK_STATUS(ilki_base_fail_errno(&err, ILK_BUSY, EACCES, "lock"), ILK_BUSY, NULL);
    /* the reason survives a message that is too long */
    char text[3000];
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = '\0';
    ilki_base_fail_errno(&err, ILK_IO, EACCES, "%s", text);
    CHECK(strstr(err.message, ": Permission denied") != NULL);
    CHECK_STATUS(ilki_base_fail_errno(NULL, ILK_IO, ENOENT, "open"), ILK_NOT_FOUND, NULL);
}

static void prefix_and_copy(void)
{
    ilk_error err, to;
    ilk_error_init(&err);
    ilk_error_init(&to);
    ilki_base_fail(&err, ILK_CORRUPT, "byte 7");
    ilki_base_error_prefix(&err, "log %d", 3);
    CHECK_STR(err.message, "log 3: byte 7");
    CHECK_INT(err.status, ILK_CORRUPT);
    ilki_base_error_copy(&to, &err);
    CHECK_STR(to.message, "log 3: byte 7");
    CHECK_INT(to.status, ILK_CORRUPT);
    to.size = offsetof(ilk_error, message) + 4;
    ilki_base_error_copy(&to, &err);
    CHECK_STR(to.message, "log");
    ilki_base_error_copy(NULL, &err);
    ilki_base_error_copy(&to, NULL);
    ilki_base_error_prefix(NULL, "x");
    CHECK_STR(to.message, "log");
}

typedef struct options {
    size_t size;
    int a, b, c, d;
} options;

static void options_of_other_versions(void)
{
    ilk_error err;
    ilk_error_init(&err);
    options to = {sizeof to, 1, 2, 3, 4}, from = {offsetof(options, c), 10, 20, 30, 40};
    CHECK_OK(ilki_base_take_options(&to, sizeof to, &from, "options", &err), &err);
    CHECK(to.a == 10 && to.b == 20 && to.c == 3 && to.d == 4);
    CHECK_INT(to.size, sizeof to);
    struct {
        options known;
        int more[4];
    } newer = {{sizeof newer, 5, 6, 7, 8}, {9, 9, 9, 9}};
    CHECK_OK(ilki_base_take_options(&to, sizeof to, &newer, "options", &err), &err);
    CHECK(to.a == 5 && to.d == 8 && to.size == sizeof to);
    CHECK_OK(ilki_base_take_options(&to, sizeof to, NULL, "options", &err), &err);
    CHECK_INT(to.a, 5);
    static const size_t absurd[] = {0, sizeof(size_t), 65537, SIZE_MAX};
    for (size_t i = 0; i < 4; i++) {
        from.size = absurd[i];
        CHECK_STATUS(ilki_base_take_options(&to, sizeof to, &from, "options", &err), ILK_BAD_ARGUMENT, &err);
        CHECK(strstr(err.message, "options: ") == err.message);
        CHECK_INT(to.a, 5);
    }
}

TEST_MAIN({"status_strings", status_strings}, {"fail_writes_message", fail_writes_message},
          {"bytes_become_text", bytes_become_text},
          {"long_message_is_cut_at_character", long_message_is_cut_at_character},
          {"small_error_is_respected", small_error_is_respected}, {"errno_chooses_status", errno_chooses_status},
          {"prefix_and_copy", prefix_and_copy}, {"options_of_other_versions", options_of_other_versions})
