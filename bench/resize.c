/* SPDX-License-Identifier: Apache-2.0
 * A resize alone, on one thread: bench_resize FAMILY WIDTH HEIGHT TO_WIDTH TO_HEIGHT FILTER [SECONDS]. FAMILY is pillow or
 * torch, FILTER Pillow's number; the picture is noise. Prints microseconds, best and median.
 * resize_peers.py runs it in turns with Pillow and torchvision. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "media/resample.h"

enum { MOST_CALLS = 20000 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ilk_status run(const ilki_kern_ops *ops, bool torch, const ilki_picture *in, ilki_image_filter filter,
                      const ilki_window *w, double seconds)
{
    static double us[MOST_CALLS];
    size_t n = 0;
    uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    ilki_rows out = {malloc((size_t)w->width * w->height * 3), (size_t)w->width * 3};
    ilk_status st = out.pixels ? ILK_OK : ILK_NO_MEMORY;
    do {
        uint64_t start = ilki_base_now_ns();
        if (st == ILK_OK)
            st = (torch ? ilki_media_resize_torch : ilki_media_resize_pillow)(ops, in, filter, w, out, NULL, NULL);
        us[n++] = (double)(ilki_base_now_ns() - start) / 1e3;
    } while (st == ILK_OK && n < MOST_CALLS && (n < 3 || ilki_base_now_ns() < end));
    qsort(us, n, sizeof *us, by_size);
    printf("%.1f us, median %.1f us\n", us[0], us[n / 2]);
    free(out.pixels);
    return st;
}

int main(int argc, char **argv)
{
    uint32_t side[4];
    ilki_kern_ops ops;
    if (argc < 7) {
        fprintf(stderr, "usage: bench_resize pillow|torch WIDTH HEIGHT TO_WIDTH TO_HEIGHT FILTER [SECONDS]\n");
        return 2;
    }
    for (int i = 0; i < 4; i++)
        side[i] = (uint32_t)strtoul(argv[2 + i], NULL, 10);
    size_t n = (size_t)side[0] * side[1] * 3;
    uint8_t *pixels = malloc(n + 1);
    for (size_t i = 0; pixels && i < n; i++)
        pixels[i] = (uint8_t)((uint32_t)i * 2654435761u >> 13);
    ilki_picture in = ilki_media_plain(pixels, side[0], side[1], 3);
    ilki_window w = {side[2], side[3], 0, 0, side[2], side[3]};
    ilk_status st = pixels ? ilki_kern_select(&ops, getenv("ILK_CPU"), ilki_base_cpu_features(), NULL, 0, NULL)
                           : ILK_NO_MEMORY;
    if (st == ILK_OK)
        st = run(&ops, strcmp(argv[1], "torch") == 0, &in, (ilki_image_filter)strtoul(argv[6], NULL, 10), &w,
                 argc > 7 ? strtod(argv[7], NULL) : 0.5);
    free(pixels);
    return st != ILK_OK;
}
