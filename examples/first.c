/* SPDX-License-Identifier: Apache-2.0
 * A first program on libilk: opens a runtime and prints what it found. It is C11 and C++17 at the same time, and uses
 * only the installed package:
 *
 *     cc first.c -o first $(pkg-config --cflags --libs ilk) && ./first
 */
#include <ilk.h>
#include <stdio.h>

int main(void)
{
    ilk_error err;
    ilk_runtime *runtime = NULL;
    ilk_runtime_info info;
    ilk_error_init(&err);
    ilk_runtime_info_init(&info);
    ilk_status status = ilk_runtime_open(&runtime, NULL, &err);
    if (status == ILK_OK)
        status = ilk_runtime_get_info(runtime, &info, &err);
    if (status == ILK_OK)
        printf("ilk %s: %u threads, kernels %s\n", ilk_version(), info.n_threads, info.kernels);
    else
        fprintf(stderr, "first: %s: %s\n", ilk_status_string(status), err.message);
    ilk_runtime_close(runtime);
    return status == ILK_OK ? 0 : 1;
}
