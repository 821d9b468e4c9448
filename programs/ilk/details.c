/* SPDX-License-Identifier: Apache-2.0
 * What is known of a picture, for people. Times of cameras have no zone: they are shown as they stand. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "show_hits.h"

const ilk_value *cli_hit_field(const ilk_hit *h, const char *name, ilk_value_type type)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (h->fields[i].value.type == type && strcmp(h->fields[i].name, name) == 0)
            return &h->fields[i].value;
    return NULL;
}

void cli_time_text(ilki_buf *b, int64_t us, bool iso)
{
    int64_t rest = us % 1000000 < 0 ? us % 1000000 + 1000000 : us % 1000000;
    time_t t = (time_t)((us - rest) / 1000000);
    struct tm tm;
    char text[64];
    if (gmtime_r(&t, &tm) && strftime(text, sizeof text, iso ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm))
        ilki_base_buf_adds(b, text);
    else
        ilki_base_buf_addf(b, "%lld", (long long)us);
    if (iso && rest)
        ilki_base_buf_addf(b, ".%06lld", (long long)rest);
    if (iso)
        ilki_base_buf_addc(b, 'Z');
}

static void add_size(ilki_buf *b, int64_t bytes)
{
    if (bytes < 1000)
        ilki_base_buf_addf(b, "%lld bytes", (long long)bytes);
    else if (bytes < 1000000)
        ilki_base_buf_addf(b, "%.0f kB", (double)bytes / 1e3);
    else
        ilki_base_buf_addf(b, "%.1f MB", (double)bytes / 1e6);
}

static void separate(ilki_buf *b)
{
    if (b->len)
        ilki_base_buf_adds(b, ", ");
}

void cli_hit_details(ilki_buf *b, const ilk_hit *h)
{
    const ilk_value *width = cli_hit_field(h, "width", ILK_VALUE_INT),
                    *height = cli_hit_field(h, "height", ILK_VALUE_INT);
    const ilk_value *bytes = cli_hit_field(h, "bytes", ILK_VALUE_INT),
                    *taken = cli_hit_field(h, "taken", ILK_VALUE_TIME);
    const ilk_value *camera = cli_hit_field(h, "camera_model", ILK_VALUE_TEXT);
    const ilk_value *lat = cli_hit_field(h, "latitude", ILK_VALUE_REAL),
                    *lon = cli_hit_field(h, "longitude", ILK_VALUE_REAL);
    if (width && height)
        ilki_base_buf_addf(b, "%lld x %lld", (long long)width->i, (long long)height->i);
    if (taken) {
        separate(b);
        cli_time_text(b, taken->i, false);
    }
    if (camera && camera->n_bytes) {
        separate(b);
        ilki_base_buf_add(b, camera->text, camera->n_bytes);
    }
    if (lat && lon) {
        separate(b);
        ilki_base_buf_addf(b, "%.4f %c %.4f %c", fabs(lat->d), lat->d < 0 ? 'S' : 'N', fabs(lon->d),
                           lon->d < 0 ? 'W' : 'E');
    }
    if (bytes) {
        separate(b);
        add_size(b, bytes->i);
    }
}
